use chrono::{DateTime, Utc};
use postrider_queue::{Job, NewJob, Tenant};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
};

use super::{ActiveModel, Column, Entity, OutboxEntry};
use crate::{
    clock::Clock,
    database::{AllTenants, Database, StoreError, Transaction},
    ids::{OutboxId, TenantId},
};

/// Where an entry stands among those of its tenant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) at: DateTime<Utc>,
    pub(super) id: OutboxId,
}

/// The table of jobs on their way.
#[derive(Clone)]
pub struct Outbox {
    database: Database,
    clock: Clock,
}

impl Outbox {
    pub fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock }
    }

    /// Appends a job inside the caller's transaction: it will be enqueued if, and only if, that commits.
    pub async fn append(&self, tx: &Transaction, tenant: TenantId, job: &NewJob) -> Result<OutboxId, StoreError> {
        append(tx, self.clock.now(), tenant, job).await
    }

    /// Entries that were not relayed, oldest first.
    pub async fn waiting(&self, _: AllTenants, limit: u64) -> Result<Vec<OutboxEntry>, StoreError> {
        let select = Entity::find().filter(Column::RelayedAt.is_null());
        let order = select.order_by_asc(Column::CreatedAt).order_by_asc(Column::Id);
        Ok(order.limit(limit).all(self.database.reader()).await?)
    }

    /// The next tenant with entries that were not relayed, in the order of ids.
    pub(super) async fn next_tenant(
        &self,
        _: AllTenants,
        after: Option<TenantId>,
    ) -> Result<Option<TenantId>, StoreError> {
        let mut select = Entity::find().select_only().column(Column::TenantId).filter(Column::RelayedAt.is_null());
        if let Some(after) = after {
            select = select.filter(Column::TenantId.gt(after));
        }
        let next = select.order_by_asc(Column::TenantId).into_tuple().one(self.database.reader());
        Ok(next.await?)
    }

    /// A tenant's entries that were not relayed, oldest first, behind this place.
    pub(super) async fn waiting_for(
        &self,
        tenant: TenantId,
        behind: Option<Place>,
        limit: u64,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        let mut select = Entity::find().filter(Column::TenantId.eq(tenant)).filter(Column::RelayedAt.is_null());
        if let Some(Place { at, id }) = behind {
            let as_old = Condition::all().add(Column::CreatedAt.eq(at)).add(Column::Id.gt(id));
            select = select.filter(Condition::any().add(Column::CreatedAt.gt(at)).add(as_old));
        }
        let order = select.order_by_asc(Column::CreatedAt).order_by_asc(Column::Id);
        Ok(order.limit(limit).all(self.database.reader()).await?)
    }

    /// Those of the given entries that were not relayed.
    pub async fn waiting_of(&self, tenant: TenantId, entries: &[OutboxId]) -> Result<Vec<OutboxEntry>, StoreError> {
        let select = Entity::find().filter(Column::TenantId.eq(tenant)).filter(Column::RelayedAt.is_null());
        let given = select.filter(Column::Id.is_in(entries.iter().copied()));
        Ok(given.order_by_asc(Column::CreatedAt).order_by_asc(Column::Id).all(self.database.reader()).await?)
    }

    /// Removes entries relayed before `before`, at most `limit`; returns how many.
    pub async fn prune(&self, _: AllTenants, before: DateTime<Utc>, limit: u64) -> Result<u64, StoreError> {
        let old = Entity::find().filter(Column::RelayedAt.lt(before)).limit(limit).all(self.database.reader()).await?;
        if old.is_empty() {
            return Ok(0);
        }
        let tx = self.database.write().await?;
        let ids = old.into_iter().map(|entry| entry.id);
        let done = Entity::delete_many().filter(Column::Id.is_in(ids)).exec(tx.connection()).await?;
        tx.commit().await?;
        Ok(done.rows_affected)
    }

    pub(super) async fn mark(&self, entries: &[OutboxId], refusal: Option<String>) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let changes =
            ActiveModel { relayed_at: Set(Some(self.clock.now())), refusal: Set(refusal), ..ActiveModel::default() };
        let tx = self.database.write().await?;
        Entity::update_many()
            .set(changes)
            .filter(Column::Id.is_in(entries.iter().copied()))
            .filter(Column::RelayedAt.is_null())
            .exec(tx.connection())
            .await?;
        tx.commit().await
    }
}

/// [`append`] for a payload, under its kind's policy.
pub(crate) async fn enqueue<J: Job>(
    tx: &Transaction,
    now: DateTime<Utc>,
    tenant: TenantId,
    payload: &J,
) -> Result<OutboxId, StoreError> {
    let job = NewJob::of(Tenant::from(tenant), payload);
    let job = job.map_err(|error| StoreError::invalid("job", error.to_string()))?;
    append(tx, now, tenant, &job).await
}

/// Appends a job in the transaction of a store.
pub(crate) async fn append(
    tx: &Transaction,
    now: DateTime<Utc>,
    tenant: TenantId,
    job: &NewJob,
) -> Result<OutboxId, StoreError> {
    if job.tenant != Tenant::from(tenant) {
        return Err(StoreError::invalid("job", "it belongs to another tenant"));
    }
    let text = serde_json::to_string(job).map_err(|error| StoreError::invalid("job", error.to_string()))?;
    let entry = OutboxEntry {
        id: OutboxId::random(),
        tenant_id: tenant,
        job: text,
        created_at: now,
        relayed_at: None,
        refusal: None,
    };
    let id = entry.id;
    Entity::insert(entry.into_active_model()).exec_without_returning(tx.connection()).await?;
    Ok(id)
}
