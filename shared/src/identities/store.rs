use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::OnConflict,
};

use super::{
    Identity, Proven,
    row::{Column, Entity},
};
use crate::{
    clock::Clock,
    database::{Database, StoreError, Transaction},
    ids::{IdentityId, UserId},
    notices::{self, NoticeKind},
    users,
};

/// How many identities a person may have.
pub const MOST: u64 = 10;

/// The table of identities.
#[derive(Clone)]
pub struct Identities {
    pub(super) database: Database,
    pub(super) clock: Clock,
}

impl Identities {
    pub fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock }
    }

    /// Who a person is elsewhere, the oldest first.
    pub async fn list(&self, user: UserId) -> Result<Vec<Identity>, StoreError> {
        let select = Entity::find().filter(Column::UserId.eq(user));
        let oldest_first = select.order_by_asc(Column::CreatedAt).order_by_asc(Column::Id);
        Ok(oldest_first.all(self.database.reader()).await?)
    }

    /// Lets a person who is signed in sign in as this one, too. Doing it again changes nothing; one that is somebody else's is taken.
    pub async fn link(&self, user: UserId, proven: &Proven) -> Result<Identity, StoreError> {
        let tx = self.database.write().await?;
        let id = IdentityId::random();
        tx.watch(Entity::find_by_id(id)).await?;
        let person = locked(&tx, user).await?;
        let found = of_subject(&tx, proven).await?;
        if let Some(found) = found {
            let taken = StoreError::Taken { what: "identity" };
            return if found.user_id == user { Ok(found) } else { Err(taken) };
        }
        if Entity::find().filter(Column::UserId.eq(user)).count(tx.connection()).await? >= MOST {
            return Err(StoreError::conflict("user", format!("has {MOST} identities; remove one first")));
        }
        // What somebody links to an account that may not be theirs is no more theirs than the account.
        let address_proven = !is_doubtful(&tx, user).await?;
        let now = self.clock.now();
        let linked = insert(&tx, now, (id, user), proven, address_proven).await?;
        let linked = linked.ok_or(StoreError::Taken { what: "identity" })?;
        notices::tell(&tx, now, &person, NoticeKind::IdentityLinked, Some(&linked.issuer)).await?;
        tx.commit().await?;
        Ok(linked)
    }

    /// The person cannot sign in so any more. The last one stays while there is no password.
    pub async fn unlink(&self, user: UserId, id: IdentityId) -> Result<(), StoreError> {
        let own = Condition::all().add(Column::Id.eq(id)).add(Column::UserId.eq(user));
        let tx = self.database.write().await?;
        tx.watch(Entity::find().filter(own.clone())).await?;
        let person = locked(&tx, user).await?;
        let all = Entity::find().filter(Column::UserId.eq(user)).all(tx.connection()).await?;
        let Some(identity) = all.iter().find(|identity| identity.id == id) else {
            return Err(StoreError::NotFound { what: "identity" });
        };
        if all.len() == 1 && person.password_hash.is_none() {
            return Err(StoreError::conflict(
                "identity",
                "is the only one, and there is no password; choose one first",
            ));
        }
        Entity::delete_many().filter(own).exec(tx.connection()).await?;
        notices::tell(&tx, self.clock.now(), &person, NoticeKind::IdentityRemoved, Some(&identity.issuer)).await?;
        tx.commit().await
    }
}

/// The person, whom `tx` has locked, has just proven the address by mail: identities that came before with a weaker proof of it go.
pub(crate) async fn forget_doubtful(
    tx: &Transaction,
    now: DateTime<Utc>,
    user: &users::User,
) -> Result<(), StoreError> {
    let doubtful = Condition::all().add(Column::UserId.eq(user.id)).add(Column::AddressProven.eq(false));
    for identity in Entity::find().filter(doubtful.clone()).limit(MOST).all(tx.connection()).await? {
        notices::tell(tx, now, user, NoticeKind::IdentityRemoved, Some(&identity.issuer)).await?;
    }
    Entity::delete_many().filter(doubtful).exec(tx.connection()).await?;
    Ok(())
}

/// The person, whose identities nobody else changes until the transaction ends.
async fn locked(tx: &Transaction, user: UserId) -> Result<users::User, StoreError> {
    users::lock(tx, user).await?.ok_or(StoreError::NotFound { what: "user" })
}

/// Whether the account may have been made by somebody else than the owner of its address.
pub(super) async fn is_doubtful(tx: &Transaction, user: UserId) -> Result<bool, StoreError> {
    let doubtful = Entity::find().filter(Column::UserId.eq(user)).filter(Column::AddressProven.eq(false));
    Ok(doubtful.count(tx.connection()).await? > 0)
}

pub(super) async fn of_subject(tx: &Transaction, proven: &Proven) -> Result<Option<Identity>, StoreError> {
    let of = Entity::find().filter(Column::Issuer.eq(&proven.issuer)).filter(Column::Subject.eq(&proven.subject));
    Ok(of.one(tx.connection()).await?)
}

/// `None` if somebody else linked it at the same moment.
pub(super) async fn insert(
    tx: &Transaction,
    now: DateTime<Utc>,
    (id, user): (IdentityId, UserId),
    proven: &Proven,
    address_proven: bool,
) -> Result<Option<Identity>, StoreError> {
    let identity = Identity {
        id,
        user_id: user,
        issuer: proven.issuer.clone(),
        subject: proven.subject.clone(),
        email: proven.email.as_ref().map(ToString::to_string),
        address_proven,
        created_at: now,
    };
    let inserted = Entity::insert(identity.clone().into_active_model())
        .on_conflict(OnConflict::columns([Column::Issuer, Column::Subject]).do_nothing().to_owned())
        .exec_without_returning(tx.connection())
        .await?;
    Ok((inserted == 1).then_some(identity))
}
