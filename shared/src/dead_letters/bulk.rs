//! Redriving and discarding many dead letters, a bounded step at a time.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Select,
    sea_query::{Expr, Func, LockBehavior, LockType, Query},
};
use serde_json::Value;

use super::{
    ActiveModel, Column, DeadLetterFilter, DeadLetterState, DeadLetters, Edit, Entity, edit, origin::Origin, subject,
};
use crate::{
    database::{StoreError, Transaction},
    ids::{DeadLetterId, TenantId},
};

/// Where the next step begins: after the letter that died then, under that id.
pub type Place = (DateTime<Utc>, DeadLetterId);

/// Letters that are moved by one statement. Each costs a commit, which a disk makes slow, whatever their number.
const TOGETHER: u64 = 2_000;
/// Letters of one step of a redrive: while some are enqueued, the next ones are read.
pub const STEP: u64 = 5 * TOGETHER;
/// Payloads that are in memory together end a statement sooner.
const MAX_BYTES: u64 = 16 << 20;

/// What one step did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BulkStep {
    /// Letters that were redriven or discarded.
    pub settled: u64,
    /// Letters that stay dead, each with a note that says why.
    pub refused: u64,
    /// Where the next step begins; none after the last one.
    pub next: Option<Place>,
    /// The queue has no room for the next ones, which are dead as before. The next step begins at the place all the same; without one,
    /// at the oldest.
    pub no_room: bool,
}

/// A letter that may be taken, and how much it weighs.
#[derive(FromQueryResult)]
struct Found {
    id: DeadLetterId,
    died_at: DateTime<Utc>,
    bytes: i64,
}

/// Letters that were taken: they are `redriving`. Oldest death first.
pub(super) struct Taken {
    pub(super) origins: Vec<Origin>,
    /// How many stay dead, because their payload cannot be edited so.
    pub(super) refused: u64,
    pub(super) next: Option<Place>,
}

impl DeadLetters {
    /// Up to `limit` dead letters of the filter, oldest death first, from `after` on, and where the next ones begin. Nobody else
    /// picks them before the transaction ends.
    async fn pick(
        &self,
        tx: &Transaction,
        tenant: TenantId,
        filter: &DeadLetterFilter,
        after: Option<Place>,
        limit: u64,
    ) -> Result<(Vec<DeadLetterId>, Option<Place>), StoreError> {
        let limit = limit.min(TOGETHER);
        let mut found = dead_after(tenant, filter, after)
            .select_only()
            .columns([Column::Id, Column::DiedAt])
            .column_as(Expr::cust("CAST(LENGTH(payload) AS BIGINT)"), "bytes")
            .order_by_asc(Column::DiedAt)
            .order_by_asc(Column::Id)
            .limit(limit)
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .into_model::<Found>()
            .all(tx.connection())
            .await?;
        let mut bytes = 0;
        let fitting = found.iter().take_while(|letter| {
            bytes += letter.bytes.unsigned_abs();
            bytes <= MAX_BYTES
        });
        let fitting = fitting.count().max(1);
        let more = found.len() as u64 == limit || fitting < found.len();
        found.truncate(fitting);
        let next = found.last().filter(|_| more).map(|last| (last.died_at, last.id));
        Ok((found.into_iter().map(|letter| letter.id).collect(), next))
    }

    /// `dead` → `redriving` for up to `limit` letters of the filter, with another payload if one is given.
    pub(super) async fn begin_many(
        &self,
        tenant: TenantId,
        filter: &DeadLetterFilter,
        edit: &Edit,
        after: Option<Place>,
        limit: u64,
    ) -> Result<Taken, StoreError> {
        let tx = self.database().write().await?;
        let (mut ids, next) = self.pick(&tx, tenant, filter, after, limit).await?;
        let (mut patches, mut refused) = (HashMap::new(), 0);
        if let Edit::Patched(patch) = edit {
            patches = self.patch_many(&tx, tenant, &ids, patch).await?;
            let all = ids.len();
            ids.retain(|id| patches.contains_key(id));
            refused = (all - ids.len()) as u64;
        }
        let payload = match edit {
            Edit::AsItDied | Edit::Patched(_) => None,
            Edit::Replaced(payload) => Some(payload),
        };
        let mut origins = HashMap::with_capacity(ids.len());
        if !ids.is_empty() {
            let changes = ActiveModel {
                state: Set(DeadLetterState::Redriving),
                redrive_payload: Set(payload.cloned()),
                note: Set(None),
                updated_at: Set(self.now()),
                ..ActiveModel::default()
            };
            let update = Entity::update_many().set(changes).filter(still(DeadLetterState::Dead, &ids));
            // Without the errors and the history of the attempts, which are most of a row.
            let update = update.into_query().returning(Query::returning().columns(Origin::COLUMNS)).take();
            for row in tx.connection().query_all(&update).await? {
                let mut origin = Origin::from_query_result(&row, "")?;
                if let Some(patched) = patches.remove(&origin.id) {
                    origin.redrive_payload = Some(patched.clone());
                    let changes = ActiveModel { redrive_payload: Set(Some(patched)), ..ActiveModel::default() };
                    Entity::update_many().set(changes).filter(Column::Id.eq(origin.id)).exec(tx.connection()).await?;
                }
                origins.insert(origin.id, origin);
            }
            Box::pin(subject::redriving(&tx, self.now(), origins.values())).await?;
        }
        tx.commit().await?;
        Ok(Taken { origins: ids.iter().filter_map(|id| origins.remove(id)).collect(), refused, next })
    }

    /// The patched payloads of those letters whose payload can be. The others get a note that says why not.
    async fn patch_many(
        &self,
        tx: &Transaction,
        tenant: TenantId,
        ids: &[DeadLetterId],
        patch: &Value,
    ) -> Result<HashMap<DeadLetterId, Vec<u8>>, StoreError> {
        let select = Entity::find().select_only().columns(Origin::COLUMNS).filter(still(DeadLetterState::Dead, ids));
        let mut fitting = HashMap::with_capacity(ids.len());
        for letter in select.into_model::<Origin>().all(tx.connection()).await? {
            match edit::patched(tenant, &letter.kind, &letter.payload, patch) {
                Ok(payload) => drop(fitting.insert(letter.id, payload)),
                Err(reason) => {
                    let update = Entity::update_many().set(self.refusal(reason.to_string()));
                    update.filter(still(DeadLetterState::Dead, &[letter.id])).exec(tx.connection()).await?;
                }
            }
        }
        Ok(fitting)
    }

    /// How many dead letters of the filter come after `after`.
    pub async fn count(
        &self,
        tenant: TenantId,
        filter: &DeadLetterFilter,
        after: Option<Place>,
    ) -> Result<u64, StoreError> {
        Ok(dead_after(tenant, filter, after).count(self.reader()).await?)
    }

    /// `redriving` → `redriven` for those that are in the queue, and → `dead` for those that it refused. Which job took a
    /// letter's place follows from the letter.
    pub(super) async fn settle_many(
        &self,
        redriven: &[DeadLetterId],
        refused: Vec<(DeadLetterId, String)>,
    ) -> Result<(), StoreError> {
        let tx = self.database().write().await?;
        if !redriven.is_empty() {
            let changes = ActiveModel {
                state: Set(DeadLetterState::Redriven),
                updated_at: Set(self.now()),
                ..ActiveModel::default()
            };
            let update = Entity::update_many().set(changes).filter(still(DeadLetterState::Redriving, redriven));
            update.exec(tx.connection()).await?;
        }
        for (id, reason) in refused {
            let changes = self.refusal(reason);
            let update = Entity::update_many().set(changes).filter(still(DeadLetterState::Redriving, &[id]));
            if update.exec(tx.connection()).await?.rows_affected == 1 {
                Box::pin(subject::follow_all(&tx, self.now(), &[id])).await?;
            }
        }
        tx.commit().await
    }

    /// `redriving` → `dead` for those that the queue has no room for.
    pub(super) async fn put_back(&self, ids: &[DeadLetterId], why: &str) -> Result<(), StoreError> {
        let tx = self.database().write().await?;
        for ids in ids.chunks(usize::try_from(TOGETHER).unwrap_or(usize::MAX)) {
            let update = Entity::update_many().set(self.refusal(why.to_owned()));
            update.filter(still(DeadLetterState::Redriving, ids)).exec(tx.connection()).await?;
            Box::pin(subject::follow_all(&tx, self.now(), ids)).await?;
        }
        tx.commit().await
    }

    /// Discards up to `limit` dead letters of the filter.
    pub async fn discard_many(
        &self,
        tenant: TenantId,
        filter: &DeadLetterFilter,
        after: Option<Place>,
        limit: u64,
    ) -> Result<BulkStep, StoreError> {
        let tx = self.database().write().await?;
        let (ids, next) = self.pick(&tx, tenant, filter, after, limit).await?;
        if !ids.is_empty() {
            let changes = ActiveModel {
                state: Set(DeadLetterState::Discarded),
                updated_at: Set(self.now()),
                ..ActiveModel::default()
            };
            let update = Entity::update_many().set(changes).filter(still(DeadLetterState::Dead, &ids));
            update.exec(tx.connection()).await?;
            Box::pin(subject::follow_all(&tx, self.now(), &ids)).await?;
        }
        tx.commit().await?;
        Ok(BulkStep { settled: ids.len() as u64, next, ..BulkStep::default() })
    }
}

/// The dead letters of the filter that come after `after`.
fn dead_after(tenant: TenantId, filter: &DeadLetterFilter, after: Option<Place>) -> Select<Entity> {
    let dead = DeadLetterFilter { state: Some(DeadLetterState::Dead), ..filter.clone() };
    let select = Entity::find().filter(dead.condition(tenant));
    let Some((at, id)) = after else { return select };
    let same_time = Condition::all().add(Column::DiedAt.eq(at)).add(Column::Id.gt(id));
    // The first condition says nothing new, but lets the index begin there instead of at the oldest letter.
    select.filter(Column::DiedAt.gte(at)).filter(Condition::any().add(Column::DiedAt.gt(at)).add(same_time))
}

/// The compare of the compare-and-set, for letters that were found as their tenant's.
///
/// Only the primary key may find them: a PostgreSQL without statistics would rather go through all letters in this state. So
/// the state is compared in a form that no index has.
fn still(state: DeadLetterState, ids: &[DeadLetterId]) -> Condition {
    let now = Expr::expr(Func::coalesce([Expr::col(Column::State), Expr::val("")]));
    Condition::all()
        .add(Column::Id.is_in(ids.iter().copied()))
        .add(sea_orm::sea_query::ExprTrait::eq(now, state.as_str()))
}
