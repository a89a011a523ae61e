use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, OnConflict},
};

use super::{
    Email, Membership, User,
    member::{Column as MemberColumn, Entity as MemberEntity},
    platform::platform_admins,
    row::{ActiveModel, Column, Entity},
};
use crate::{
    clock::Clock,
    database::{AllTenants, Database, StoreError, Transaction, check},
    ids::UserId,
};

/// A person whose address was just proven.
#[derive(Debug, Clone)]
pub struct NewUser {
    pub email: Email,
    pub name: String,
    pub password_hash: Option<String>,
}

/// The table of people. It is the same for all tenants; what a tenant may see of it, [`Members`](super::Members) shows.
#[derive(Clone)]
pub struct Users {
    pub(super) database: Database,
    pub(super) clock: Clock,
}

impl Users {
    pub fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock }
    }

    pub async fn by_email(&self, email: &Email) -> Result<Option<User>, StoreError> {
        Ok(Entity::find().filter(Column::Email.eq(email.as_str())).one(self.database.reader()).await?)
    }

    pub async fn get(&self, user: UserId) -> Result<Option<User>, StoreError> {
        Ok(Entity::find_by_id(user).one(self.database.reader()).await?)
    }

    /// For which tenants a person works, oldest first.
    pub async fn memberships(&self, _: AllTenants, user: UserId) -> Result<Vec<Membership>, StoreError> {
        let mut found = MemberEntity::find().filter(MemberColumn::UserId.eq(user)).all(self.database.reader()).await?;
        found.sort_by_key(|membership| (membership.created_at, membership.tenant_id));
        Ok(found)
    }

    pub async fn rename(&self, user: UserId, name: &str) -> Result<User, StoreError> {
        let name = check::line("name", name, 200)?;
        let changes = ActiveModel { name: Set(name), updated_at: Set(self.clock.now()), ..ActiveModel::default() };
        let tx = self.database.write().await?;
        tx.watch(Entity::find_by_id(user)).await?;
        Entity::update_many().set(changes).filter(Column::Id.eq(user)).exec(tx.connection()).await?;
        let found = Entity::find_by_id(user).one(tx.connection()).await?;
        let found = found.ok_or(StoreError::NotFound { what: "user" })?;
        tx.commit().await?;
        Ok(found)
    }

    /// Keeps another hash of the same password, with today's parameters. `None` if another one holds by now.
    pub async fn rehash(&self, user: User, hash: String) -> Result<Option<User>, StoreError> {
        let changes = ActiveModel { password_hash: Set(Some(hash.clone())), ..ActiveModel::default() };
        let tx = self.database.write().await?;
        let done = Entity::update_many()
            .set(changes)
            .filter(Column::Id.eq(user.id))
            .filter(Column::PasswordHash.eq(user.password_hash.clone()))
            .exec(tx.connection())
            .await?;
        tx.commit().await?;
        Ok((done.rows_affected == 1).then_some(User { password_hash: Some(hash), ..user }))
    }
}

/// Adds a person, or finds the one who has this address already: then nothing of it changes, and the second value is false.
pub(crate) async fn insert(tx: &Transaction, now: DateTime<Utc>, new: NewUser) -> Result<(User, bool), StoreError> {
    let user = User {
        id: UserId::random(),
        email: new.email.into(),
        name: check::line("name", &new.name, 200)?,
        password_hash: new.password_hash,
        platform_admin: false,
        verified_at: now,
        created_at: now,
        updated_at: now,
    };
    let inserted = Entity::insert(user.clone().into_active_model())
        .on_conflict(OnConflict::column(Column::Email).do_nothing().to_owned())
        .exec_without_returning(tx.connection())
        .await?;
    if inserted == 1 {
        return Ok((user, true));
    }
    let found = Entity::find().filter(Column::Email.eq(user.email)).one(tx.connection()).await?;
    Ok((found.ok_or(StoreError::NotFound { what: "user" })?, false))
}

/// [`Users::by_email`] in the transaction of another store, with the person locked until it ends.
pub(crate) async fn by_email(tx: &Transaction, email: &Email) -> Result<Option<User>, StoreError> {
    let Some(found) = Entity::find().filter(Column::Email.eq(email.as_str())).one(tx.connection()).await? else {
        return Ok(None);
    };
    // Until it was locked, the person may have got another address.
    Ok(lock(tx, found.id).await?.filter(|user| user.email == email.as_str()))
}

/// Whether somebody has this address. It takes the same time whether or not.
pub(crate) async fn has(tx: &Transaction, email: &Email) -> Result<bool, StoreError> {
    Ok(Entity::find().filter(Column::Email.eq(email.as_str())).count(tx.connection()).await? > 0)
}

/// Gives a person another address, which was proven just now.
pub(crate) async fn move_to(
    tx: &Transaction,
    now: DateTime<Utc>,
    user: UserId,
    email: &Email,
) -> Result<(), StoreError> {
    let changes = ActiveModel {
        email: Set(email.as_str().to_owned()),
        verified_at: Set(now),
        updated_at: Set(now),
        ..ActiveModel::default()
    };
    let update = Entity::update_many().set(changes).filter(Column::Id.eq(user));
    update.exec(tx.connection()).await.map_err(StoreError::taken("user"))?;
    Ok(())
}

/// Gives a person the password behind this hash.
pub(crate) async fn set_password(
    tx: &Transaction,
    now: DateTime<Utc>,
    user: UserId,
    hash: String,
) -> Result<(), StoreError> {
    tx.watch(Entity::find_by_id(user)).await?;
    let changes = ActiveModel { password_hash: Set(Some(hash)), updated_at: Set(now), ..ActiveModel::default() };
    Entity::update_many().set(changes).filter(Column::Id.eq(user)).exec(tx.connection()).await?;
    Ok(())
}

/// The person, whom nobody else changes until the transaction ends.
pub(crate) async fn lock(tx: &Transaction, user: UserId) -> Result<Option<User>, StoreError> {
    Entity::update_many()
        .col_expr(Column::UpdatedAt, Expr::col(Column::UpdatedAt))
        .filter(Column::Id.eq(user))
        .exec(tx.connection())
        .await?;
    Ok(Entity::find_by_id(user).one(tx.connection()).await?)
}

/// The person, who is about to be removed: nothing that hangs on them can be added until the transaction ends.
pub(crate) async fn lock_to_remove(tx: &Transaction, user: UserId) -> Result<Option<User>, StoreError> {
    // Those who run the platform are locked in one order, whoever of them leaves.
    let found = Entity::find_by_id(user).one(tx.connection()).await?;
    if found.is_some_and(|user| user.platform_admin) {
        platform_admins(tx).await?;
    }
    Ok(Entity::find_by_id(user).lock_exclusive().one(tx.connection()).await?)
}
