use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
};
use secrecy::SecretString;
use serde_json::json;

use super::{
    Carrier, EndedBy, Session, chain,
    row::{ActiveModel, Column, Entity},
    token::TokenText,
};
use crate::{
    audit::{AuditKind, AuditOutcome, Said},
    clock::Clock,
    database::{AllTenants, Database, StoreError, Transaction},
    ids::{SessionId, UserId},
    users::{self, User},
};

/// How long a session lasts that nobody uses.
const IDLE: TimeDelta = TimeDelta::days(7);
/// How long it lasts at most.
const LONGEST: TimeDelta = TimeDelta::days(90);
/// How long an ended one is remembered.
const REMEMBERED: TimeDelta = TimeDelta::days(30);
/// How many a person sees.
const LISTED: u64 = 100;

/// A session that just began, with the token that is never seen again.
#[derive(Debug, Clone)]
pub struct Begun {
    pub session: Session,
    pub token: SecretString,
}

/// The tables of sessions and their tokens.
#[derive(Clone)]
pub struct Sessions {
    pub(super) database: Database,
    pub(super) clock: Clock,
}

impl Sessions {
    pub fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock }
    }

    /// Signs a person in. `client` is what the client calls itself.
    ///
    /// `None` if the person is gone, or has another password or address than in `user`: what proved who they are may be void by now.
    pub async fn begin(&self, user: &User, carrier: Carrier, client: &str) -> Result<Option<Begun>, StoreError> {
        let (now, token) = (self.clock.now(), TokenText::random());
        let session = Session {
            id: SessionId::random(),
            user_id: user.id,
            carrier,
            client: client.chars().filter(|c| !c.is_control()).take(200).collect(),
            created_at: now,
            last_used_at: now,
            expires_at: now + IDLE,
            ended_at: None,
            ended_by: None,
        };
        let tx = self.database.write().await?;
        // Whoever ends all sessions of a person has the same lock, and leaves none behind that was about to begin.
        let same = |now: &User| now.password_hash == user.password_hash && now.email == user.email;
        if !users::lock(&tx, user.id).await?.is_some_and(|now| same(&now)) {
            return Ok(None);
        }
        Entity::insert(session.clone().into_active_model()).exec_without_returning(tx.connection()).await?;
        add(&tx, &token, session.id, now).await?;
        let said = Said::of(AuditKind::SignIn, AuditOutcome::Done, session.user_id);
        tx.say(Said { subject: Some(session.id.to_string()), ..said });
        tx.commit().await?;
        Ok(Some(Begun { session, token: token.text() }))
    }

    /// The session if it opens anything now.
    pub async fn live(&self, session: SessionId) -> Result<Option<Session>, StoreError> {
        let found = Entity::find_by_id(session).one(self.database.reader()).await?;
        Ok(found.filter(|session| session.is_live(self.clock.now())))
    }

    /// A person's live sessions, the newest first.
    pub async fn list(&self, user: UserId) -> Result<Vec<Session>, StoreError> {
        let select = Entity::find().filter(Column::UserId.eq(user)).filter(Column::EndedAt.is_null());
        let live = select.filter(Column::ExpiresAt.gt(self.clock.now()));
        Ok(live.order_by_desc(Column::CreatedAt).limit(LISTED).all(self.database.reader()).await?)
    }

    /// Ends one session of a person. Ending it again changes nothing; another person's is not found.
    pub async fn end(&self, user: UserId, session: SessionId, by: EndedBy) -> Result<(), StoreError> {
        let own = Condition::all().add(Column::UserId.eq(user)).add(Column::Id.eq(session));
        if Entity::find().filter(own.clone()).one(self.database.reader()).await?.is_none() {
            return Err(StoreError::NotFound { what: "session" });
        }
        let tx = self.database.write().await?;
        end(&tx, self.clock.now(), own, by).await?;
        tx.commit().await
    }

    /// Ends all sessions of a person but the one that is named, if one is.
    pub async fn end_all(&self, user: UserId, but: Option<SessionId>, by: EndedBy) -> Result<(), StoreError> {
        let tx = self.database.write().await?;
        users::lock(&tx, user).await?;
        end_all(&tx, self.clock.now(), (user, but), by).await?;
        tx.commit().await
    }

    /// Forgets what ended long ago, at most `limit` sessions; returns how many.
    pub async fn prune(&self, _: AllTenants, limit: u64) -> Result<u64, StoreError> {
        let old = Entity::find()
            .filter(Column::ExpiresAt.lt(self.clock.now() - REMEMBERED))
            .limit(limit)
            .all(self.database.reader())
            .await?;
        let ids: Vec<SessionId> = old.into_iter().map(|session| session.id).collect();
        if ids.is_empty() {
            return Ok(0);
        }
        let tx = self.database.write().await?;
        let tokens = chain::Entity::delete_many().filter(chain::Column::SessionId.is_in(ids.iter().copied()));
        tokens.exec(tx.connection()).await?;
        let done = Entity::delete_many().filter(Column::Id.is_in(ids)).exec(tx.connection()).await?;
        tx.commit().await?;
        Ok(done.rows_affected)
    }
}

/// Ends sessions and forgets their tokens: from then on those are unknown.
async fn end(tx: &Transaction, now: DateTime<Utc>, which: Condition, by: EndedBy) -> Result<(), StoreError> {
    let live = which.add(Column::EndedAt.is_null());
    let ids = Entity::find().filter(live.clone()).all(tx.connection()).await?;
    let ids: Vec<SessionId> = ids.into_iter().map(|session| session.id).collect();
    let changes = ActiveModel { ended_at: Set(Some(now)), ended_by: Set(Some(by)), ..ActiveModel::default() };
    Entity::update_many().set(changes).filter(live).exec(tx.connection()).await?;
    for some in ids.chunks(500) {
        let tokens = chain::Entity::delete_many().filter(chain::Column::SessionId.is_in(some.iter().copied()));
        tokens.exec(tx.connection()).await?;
    }
    Ok(())
}

/// [`Sessions::end_all`] in a transaction that has [locked](users::lock) the person.
pub(crate) async fn end_all(
    tx: &Transaction,
    now: DateTime<Utc>,
    (user, but): (UserId, Option<SessionId>),
    by: EndedBy,
) -> Result<(), StoreError> {
    let all = Condition::all().add(Column::UserId.eq(user));
    end(tx, now, all.add_option(but.map(|kept| Column::Id.ne(kept))), by).await
}

/// Ends a session whose token came a second time: somebody else had it.
pub(super) async fn reused(tx: &Transaction, now: DateTime<Utc>, session: &Session) -> Result<(), StoreError> {
    end(tx, now, Condition::all().add(Column::Id.eq(session.id)), EndedBy::Reuse).await?;
    let said = Said::of(AuditKind::SignIn, AuditOutcome::Refused, session.user_id);
    let after = Some(json!({ "ended_by": EndedBy::Reuse }));
    tx.say(Said { subject: Some(session.id.to_string()), after, ..said });
    Ok(())
}

/// The session goes on: it was used now.
pub(super) async fn used(tx: &Transaction, session: &Session, now: DateTime<Utc>) -> Result<Session, StoreError> {
    let session =
        Session { last_used_at: now, expires_at: (now + IDLE).min(session.created_at + LONGEST), ..session.clone() };
    let changes = ActiveModel {
        last_used_at: Set(session.last_used_at),
        expires_at: Set(session.expires_at),
        ..ActiveModel::default()
    };
    Entity::update_many().set(changes).filter(Column::Id.eq(session.id)).exec(tx.connection()).await?;
    Ok(session)
}

pub(super) async fn add(
    tx: &Transaction,
    token: &TokenText,
    session: SessionId,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let row = chain::Model::new(token.hash(), session, now).into_active_model();
    chain::Entity::insert(row).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// The live session that a token carries in this way, and the token's row, locked until the transaction ends.
pub(super) async fn found(
    tx: &Transaction,
    token: &TokenText,
    carrier: Carrier,
    now: DateTime<Utc>,
) -> Result<Option<(chain::Model, Session)>, StoreError> {
    let Some(link) = chain::Entity::find_by_id(token.hash()).one(tx.connection()).await? else { return Ok(None) };
    // Whatever happens to a session's tokens happens under the lock on its row. It is not locked by a write: PostgreSQL looks for the
    // person of a row that is written twice, and waits for one who is about to leave and waits for the session.
    let one = Condition::all().add(Column::Id.eq(link.session_id)).add(Column::Carrier.eq(carrier));
    let session = Entity::find().filter(one).lock_exclusive().one(tx.connection()).await?;
    let link = chain::Entity::find_by_id(token.hash()).one(tx.connection()).await?;
    Ok(session.filter(|session| session.is_live(now)).and_then(|session| Some((link?, session))))
}
