use std::collections::HashSet;

use postrider_queue::QueueClient;
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{ActiveModel, Column, Entity, Tenant, TenantState, Tenants, find};
use crate::{
    database::{AllTenants, StoreError},
    ids::TenantId,
    scopes::ScopeError,
};

/// Tenants read per query.
const PAGE: u64 = 500;

impl Tenants {
    /// Moves a tenant on in its life, if it is where `from` says, or there already.
    pub async fn move_on(&self, id: TenantId, from: TenantState, to: TenantState) -> Result<Tenant, StoreError> {
        let expected = Condition::all().add(Column::Id.eq(id)).add(Column::State.eq(from));
        let changes = ActiveModel { state: Set(to), updated_at: Set(self.clock.now()), ..ActiveModel::default() };
        let tx = self.database.write().await?;
        tx.watch(Entity::find_by_id(id)).await?;
        Entity::update_many().set(changes).filter(expected).exec(tx.connection()).await?;
        let moved = find(tx.connection(), id).await?;
        if moved.state != to {
            return Err(StoreError::conflict("tenant", format!("is {}", moved.state)));
        }
        tx.commit().await?;
        self.states.forget(|tenant, _| *tenant == id);
        Ok(moved)
    }

    /// All tenants that do not take part at the moment.
    async fn at_rest(&self, _: AllTenants) -> Result<HashSet<TenantId>, StoreError> {
        let mut all = HashSet::new();
        let mut after: Option<TenantId> = None;
        loop {
            let mut select = Entity::find().filter(Column::State.ne(TenantState::Active)).order_by_asc(Column::Id);
            if let Some(after) = after {
                select = select.filter(Column::Id.gt(after));
            }
            let page = select.limit(PAGE).all(self.database.reader()).await?;
            all.extend(page.iter().map(|tenant| tenant.id));
            after = page.last().map(|tenant| tenant.id);
            if after.is_none() {
                return Ok(all);
            }
        }
    }
}

/// Keeps the queue from working for tenants that do not take part: all they have stays there and goes on when they are back.
///
/// The database says who takes part. Whoever changes it tells the queue at once; the scheduler compares again and again, because the
/// queue may have been away, or have lost its data.
#[derive(Clone)]
pub struct Pauses {
    tenants: Tenants,
    queue: QueueClient,
}

impl Pauses {
    pub fn new(tenants: Tenants, queue: QueueClient) -> Self {
        Self { tenants, queue }
    }

    /// Tells the queue where the tenant is in its life. Safe to repeat.
    pub async fn apply(&self, tenant: TenantId) -> Result<(), ScopeError> {
        // As the database has it now, not as the caller saw it: of two changes, the later one counts.
        if self.tenants.get(tenant).await?.is_active() {
            Ok(self.queue.resume_tenant(&tenant.into()).await?)
        } else {
            Ok(self.queue.pause_tenant(&tenant.into()).await?)
        }
    }

    /// Mends what differs between the database and the queue; returns how many. An error of the queue is that of one server; the
    /// tenants of the others were looked after.
    pub async fn compare(&self) -> Result<usize, ScopeError> {
        let at_rest = self.tenants.at_rest(AllTenants).await?;
        let (mut paused, mut away, mut failed) = (HashSet::new(), HashSet::new(), None);
        for shard in 0..self.queue.shards() {
            match self.queue.paused_tenants(shard).await {
                Ok(names) => paused.extend(names.iter().filter_map(|name| name.parse::<TenantId>().ok())),
                Err(error) => {
                    away.insert(shard);
                    failed = Some(error);
                }
            }
        }
        let differing = at_rest.symmetric_difference(&paused).copied();
        let differing = differing.filter(|tenant| !away.contains(&self.queue.shard_of(&(*tenant).into())));
        let mut mended = 0;
        for tenant in differing {
            let applied = match self.apply(tenant).await {
                // It has gone: what it left in the queue ends by itself.
                Err(ScopeError::Store(StoreError::NotFound { .. })) => {
                    self.queue.resume_tenant(&tenant.into()).await.map_err(ScopeError::from)
                }
                applied => applied,
            };
            match applied {
                Ok(()) => mended += 1,
                Err(ScopeError::Queue(error)) => failed = Some(error),
                Err(error) => return Err(error),
            }
        }
        failed.map_or(Ok(mended), |error| Err(error.into()))
    }
}
