use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter, sea_query::OnConflict,
};

use super::{
    KeySet, PublicKey,
    row::{ActiveModel, Column, Entity},
};
use crate::{
    clock::Clock,
    database::{Database, StoreError, Transaction},
    ids::{OutboxId, TenantId},
    jobs::FetchKeySet,
    outbox,
};

/// Keys are believed for at least so long, whatever the issuer says: it would be asked all the time else.
pub const SHORTEST: Duration = Duration::from_mins(10);
/// Where it says nothing.
pub const USUAL: Duration = Duration::from_hours(1);
/// And at most: keys that were taken back must not sign for ever.
pub const LONGEST: Duration = Duration::from_hours(24);

/// Between two fetches out of turn: whoever makes up key ids cannot have an issuer called more often.
const PAUSE: TimeDelta = TimeDelta::seconds(30);

/// What came of asking for a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The job that fetches.
    Now(OutboxId),
    /// Somebody asked before; the next one may at this time.
    Before { again_at: DateTime<Utc> },
}

/// The table of key sets.
#[derive(Clone)]
pub struct KeySets {
    database: Database,
    clock: Clock,
}

impl KeySets {
    pub fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock }
    }

    pub async fn get(&self, issuer: &str) -> Result<Option<KeySet>, StoreError> {
        Ok(Entity::find_by_id(issuer).one(self.database.reader()).await?)
    }

    /// Has an issuer's keys fetched, unless somebody asked for that a moment ago.
    pub async fn ask(&self, issuer: &str) -> Result<Asked, StoreError> {
        let now = self.clock.now();
        let tx = self.database.write().await?;
        insert(&tx, issuer).await?;
        let long_ago = Condition::any().add(Column::AskedAt.is_null()).add(Column::AskedAt.lte(now - PAUSE));
        let changes = ActiveModel { asked_at: Set(Some(now)), ..ActiveModel::default() };
        let ours = Entity::update_many().set(changes).filter(Column::Issuer.eq(issuer)).filter(long_ago);
        if ours.exec(tx.connection()).await?.rows_affected == 0 {
            let row = Entity::find_by_id(issuer).one(tx.connection()).await?;
            let asked_at = row.and_then(|row| row.asked_at).unwrap_or(now);
            return Ok(Asked::Before { again_at: asked_at + PAUSE });
        }
        let job = FetchKeySet { issuer: issuer.to_owned() };
        let entry = outbox::enqueue(&tx, now, TenantId::platform(), &job).await?;
        tx.commit().await?;
        Ok(Asked::Now(entry))
    }

    /// Keeps what a fetch brought that began at this time; keys that are not among them prove nothing any more. `life` is for how
    /// long the issuer vouches for them.
    pub async fn fetched(
        &self,
        issuer: &str,
        began: DateTime<Utc>,
        keys: &[PublicKey],
        life: Option<Duration>,
    ) -> Result<KeySet, StoreError> {
        let life = life.unwrap_or(USUAL).clamp(SHORTEST, LONGEST);
        let keys = serde_json::to_string(keys).map_err(|error| StoreError::invalid("keys", error.to_string()))?;
        let changes = ActiveModel {
            keys: Set(keys),
            fetched_at: Set(Some(began)),
            expires_at: Set(Some(began + life)),
            tried_at: Set(Some(began)),
            failure: Set(None),
            ..ActiveModel::default()
        };
        self.tried(issuer, began, changes).await
    }

    /// Notes that a fetch that began at this time brought nothing. The keys of before stay good until their end.
    pub async fn failed(&self, issuer: &str, began: DateTime<Utc>, reason: &str) -> Result<KeySet, StoreError> {
        let reason: String = reason.chars().take(300).collect();
        let changes = ActiveModel { tried_at: Set(Some(began)), failure: Set(Some(reason)), ..ActiveModel::default() };
        self.tried(issuer, began, changes).await
    }

    /// A fetch that began later has the last word.
    async fn tried(&self, issuer: &str, began: DateTime<Utc>, changes: ActiveModel) -> Result<KeySet, StoreError> {
        let tx = self.database.write().await?;
        insert(&tx, issuer).await?;
        let older = Condition::any().add(Column::TriedAt.is_null()).add(Column::TriedAt.lte(began));
        let ours = Entity::update_many().set(changes).filter(Column::Issuer.eq(issuer)).filter(older);
        ours.exec(tx.connection()).await?;
        let row = Entity::find_by_id(issuer).one(tx.connection()).await?;
        tx.commit().await?;
        row.ok_or(StoreError::NotFound { what: "key set" })
    }
}

async fn insert(tx: &Transaction, issuer: &str) -> Result<(), StoreError> {
    let row = KeySet {
        issuer: issuer.to_owned(),
        keys: "[]".to_owned(),
        fetched_at: None,
        expires_at: None,
        asked_at: None,
        tried_at: None,
        failure: None,
    };
    Entity::insert(row.into_active_model())
        .on_conflict(OnConflict::column(Column::Issuer).do_nothing().to_owned())
        .exec_without_returning(tx.connection())
        .await?;
    Ok(())
}
