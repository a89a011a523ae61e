use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
    sea_query::OnConflict,
};
use uuid::Uuid;

use super::{ActiveModel, Column, Entity, Request};
use crate::{
    clock::Clock,
    database::{AllTenants, Database, StoreError},
    ids::TenantId,
};

/// A holder that has not renewed its lease for so long is taken for dead.
pub const LEASE: Duration = Duration::from_secs(10);
/// The same for a holder of an earlier version, which has no lease.
const WITHOUT_LEASE: Duration = Duration::from_mins(1);
/// No lease ends later than this, but by a clock that is ahead: then it does not count, because its holder may be dead. One that lives
/// commits nothing once somebody else has taken its request over.
const FURTHEST: Duration = Duration::from_mins(2);

/// The answer to repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    /// HTTP status.
    pub status: u16,
    /// Headers that belong to the answer, such as Location.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// The right to answer a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    scope: String,
    key: String,
    holder: Uuid,
    seed: Uuid,
    committed: bool,
}

impl Ticket {
    /// What the ids of things that the request makes derive from: the same for a repeat whose first process ended before it could
    /// store the answer, and another one for every other request, also a later one under the same key.
    pub fn seed(&self) -> Uuid {
        self.seed
    }

    /// Whether an earlier run of this request, whose process ended before it could store the answer, changed something.
    pub fn is_committed(&self) -> bool {
        self.committed
    }
}

/// What to do with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Do the work, then finish or abandon the ticket.
    Fresh(Ticket),
    /// Give this answer.
    Replay(StoredAnswer),
    /// The same request is being worked on.
    InProgress,
    /// The key was used for another request.
    Conflict,
}

/// The table of requests that may be repeated.
#[derive(Clone)]
pub struct Requests {
    database: Database,
    clock: Clock,
}

impl Requests {
    pub fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock }
    }

    /// Looks a key up and takes it if it is free. `tenant` is `None` for requests about the platform; `caller` is the id of who calls;
    /// `operation` says what was called, such as `POST /v1/products`; the fingerprint condenses what was sent, and `others` are what
    /// it is under other keys: what was noted as any of them is the same request.
    pub async fn begin(
        &self,
        tenant: Option<TenantId>,
        caller: Uuid,
        operation: &str,
        key: &str,
        fingerprint: &str,
        others: &[String],
    ) -> Result<Begun, StoreError> {
        let now = self.clock.now();
        let whose = tenant.map_or_else(|| "platform".to_owned(), |tenant| tenant.to_string());
        let holder = Uuid::new_v4();
        let scope = format!("{whose} {caller} {operation}");
        let mut ticket = Ticket { scope, key: key.to_owned(), holder, seed: holder, committed: false };
        let request = Request {
            scope: ticket.scope.clone(),
            key: ticket.key.clone(),
            fingerprint: fingerprint.to_owned(),
            holder: ticket.holder,
            status: None,
            headers: None,
            body: None,
            created_at: now,
            seed: Some(ticket.seed),
            leased_until: Some(now + LEASE),
            committed: false,
        };
        let tx = self.database.write().await?;
        let inserted = Entity::insert(request.into_active_model())
            .on_conflict(OnConflict::columns([Column::Scope, Column::Key]).do_nothing().to_owned())
            .exec_without_returning(tx.connection())
            .await?;
        if inserted == 1 {
            tx.commit().await?;
            return Ok(Begun::Fresh(ticket));
        }
        let found = Entity::find().filter(same(&ticket)).lock_exclusive().one(tx.connection()).await?;
        // The request that had the key was refused in this very moment, and the next repeat finds the key free.
        let Some(found) = found else { return Ok(Begun::InProgress) };
        if found.fingerprint != fingerprint && !others.contains(&found.fingerprint) {
            return Ok(Begun::Conflict);
        }
        if found.status.is_some() {
            return answer(found).map(Begun::Replay);
        }
        let held_until = found.leased_until.unwrap_or(found.created_at + WITHOUT_LEASE);
        if now < held_until && held_until <= now + FURTHEST {
            return Ok(Begun::InProgress);
        }
        ticket.seed = found.seed.unwrap_or(found.holder);
        ticket.committed = found.committed;
        let changes = ActiveModel {
            holder: Set(ticket.holder),
            seed: Set(Some(ticket.seed)),
            created_at: Set(now),
            leased_until: Set(Some(now + LEASE)),
            ..ActiveModel::default()
        };
        let stale = same(&ticket).add(Column::Holder.eq(found.holder));
        Entity::update_many().set(changes).filter(stale).exec(tx.connection()).await?;
        tx.commit().await?;
        Ok(Begun::Fresh(ticket))
    }

    /// Holds the request for another [`LEASE`]. `false`: somebody else has taken it over.
    pub async fn renew(&self, ticket: &Ticket) -> Result<bool, StoreError> {
        let changes = ActiveModel { leased_until: Set(Some(self.clock.now() + LEASE)), ..ActiveModel::default() };
        let tx = self.database.write().await?;
        let done = Entity::update_many().set(changes).filter(held(ticket)).exec(tx.connection()).await?;
        tx.commit().await?;
        Ok(done.rows_affected == 1)
    }

    /// Stores the answer to repeat. One that was taken over meanwhile is not stored.
    pub async fn finish(&self, ticket: Ticket, answer: &StoredAnswer) -> Result<(), StoreError> {
        let headers = serde_json::to_string(&answer.headers)
            .map_err(|error| StoreError::invalid("headers", error.to_string()))?;
        let changes = ActiveModel {
            status: Set(Some(i32::from(answer.status))),
            headers: Set(Some(headers)),
            body: Set(Some(answer.body.clone())),
            ..ActiveModel::default()
        };
        let tx = self.database.write().await?;
        Entity::update_many().set(changes).filter(held(&ticket)).exec(tx.connection()).await?;
        tx.commit().await
    }

    /// Frees the key: the request was refused, and a corrected one may use it.
    pub async fn abandon(&self, ticket: Ticket) -> Result<(), StoreError> {
        let tx = self.database.write().await?;
        Entity::delete_many().filter(held(&ticket)).exec(tx.connection()).await?;
        tx.commit().await
    }

    /// Lets a repeat carry on at once, with the same seed: how much was done is not known.
    pub async fn release(&self, ticket: Ticket) -> Result<(), StoreError> {
        let changes = ActiveModel { leased_until: Set(Some(self.clock.now())), ..ActiveModel::default() };
        let tx = self.database.write().await?;
        Entity::update_many().set(changes).filter(held(&ticket)).exec(tx.connection()).await?;
        tx.commit().await
    }

    /// Forgets requests begun before `before`, at most `limit`; returns how many.
    pub async fn prune(&self, _: AllTenants, before: DateTime<Utc>, limit: u64) -> Result<u64, StoreError> {
        let old = Entity::find().filter(Column::CreatedAt.lt(before)).limit(limit).all(self.database.reader()).await?;
        if old.is_empty() {
            return Ok(0);
        }
        let any = old.iter().fold(Condition::any(), |any, row| {
            any.add(Condition::all().add(Column::Scope.eq(row.scope.as_str())).add(Column::Key.eq(row.key.as_str())))
        });
        let tx = self.database.write().await?;
        let done = Entity::delete_many().filter(any).exec(tx.connection()).await?;
        tx.commit().await?;
        Ok(done.rows_affected)
    }
}

fn same(ticket: &Ticket) -> Condition {
    Condition::all().add(Column::Scope.eq(ticket.scope.as_str())).add(Column::Key.eq(ticket.key.as_str()))
}

pub(super) fn held(ticket: &Ticket) -> Condition {
    same(ticket).add(Column::Holder.eq(ticket.holder)).add(Column::Status.is_null())
}

fn answer(request: Request) -> Result<StoredAnswer, StoreError> {
    let unreadable = |reason: String| StoreError::Unreadable { what: "answer", reason };
    let headers = request.headers.unwrap_or_else(|| "[]".to_owned());
    Ok(StoredAnswer {
        status: u16::try_from(request.status.unwrap_or_default()).map_err(|error| unreadable(error.to_string()))?,
        headers: serde_json::from_str(&headers).map_err(|error| unreadable(error.to_string()))?,
        body: request.body.unwrap_or_default(),
    })
}
