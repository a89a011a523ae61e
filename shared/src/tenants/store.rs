use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, IntoActiveModel, QueryFilter, QuerySelect,
    sea_query::{Expr, LockType},
};

use super::{ActiveModel, Column, Entity, Tenant, TenantSettings, TenantState};
use crate::{
    clock::Clock,
    database::{
        AllTenants, Cursor, Database, Exact, Page, StoreError, Transaction, brief::Brief, check, page::newest_first,
    },
    ids::TenantId,
};

/// The table of tenants.
#[derive(Clone)]
pub struct Tenants {
    pub(super) database: Database,
    pub(super) clock: Clock,
    pub(super) states: Brief<TenantId, TenantState>,
}

/// A tenant's state that was just looked up is believed for so long.
const BELIEVED_FOR: Duration = Duration::from_secs(1);

impl Tenants {
    pub fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock, states: Brief::new(BELIEVED_FOR) }
    }

    /// Adds a tenant, active at once, whose quotes count from 1.
    pub async fn create(&self, settings: TenantSettings) -> Result<Tenant, StoreError> {
        self.create_as(TenantId::random(), settings).await
    }

    /// [`create`](Self::create) under this id. One that has it already was made by the same request and is returned.
    pub async fn create_as(&self, id: TenantId, settings: TenantSettings) -> Result<Tenant, StoreError> {
        let tx = self.database.write().await?;
        tx.watch(Entity::find_by_id(id)).await?;
        if let Some(made) = Entity::find_by_id(id).one(tx.connection()).await? {
            return Ok(made);
        }
        let tenant = insert(&tx, self.clock.now(), id, settings, TenantState::Active).await?;
        tx.commit().await?;
        Ok(tenant)
    }

    pub async fn get(&self, tenant: TenantId) -> Result<Tenant, StoreError> {
        find(self.database.reader(), tenant).await
    }

    /// Where it is in its life. It may be read from this process's memory, as it was a second ago; what this process changed counts
    /// at once.
    pub async fn state(&self, tenant: TenantId) -> Result<TenantState, StoreError> {
        if let Some(state) = self.states.get(&tenant) {
            return Ok(state);
        }
        let reading = self.states.begin();
        // In a box, because it is rare: see `ApiKeys::verify`.
        let state = Box::pin(self.get(tenant)).await?.state;
        self.states.keep(reading, tenant, state);
        Ok(state)
    }

    /// All tenants, or those in a state, newest first. For platform keys only.
    pub async fn list(
        &self,
        _: AllTenants,
        state: Option<TenantState>,
        cursor: Option<Cursor>,
        limit: u64,
    ) -> Result<Page<Tenant>, StoreError> {
        let select = state.map_or_else(Entity::find, |state| Entity::find().filter(Column::State.eq(state)));
        let key = |row: &Tenant| Cursor::after(row.created_at, row.id.0);
        let order = (Column::CreatedAt, Column::Id);
        Ok(newest_first(self.database.reader(), select, order, cursor, limit, key).await?)
    }

    /// Changes the settings to what `merge` makes of them as they are, and nobody changes them in between.
    pub async fn change(
        &self,
        tenant: TenantId,
        merge: impl FnOnce(TenantSettings) -> TenantSettings,
    ) -> Result<Tenant, StoreError> {
        let tx = self.database.write().await?;
        let before = Entity::find_by_id(tenant).lock(LockType::NoKeyUpdate).one(tx.connection()).await?;
        let before = before.ok_or(StoreError::NotFound { what: "tenant" })?;
        let settings = merge(before.settings()).checked()?;
        self.set(
            tx,
            tenant,
            ActiveModel {
                name: Set(settings.name),
                currency: Set(settings.currency),
                tax_rate: Set(Exact(settings.tax_rate)),
                tax_label: Set(settings.tax_label),
                time_zone: Set(settings.time_zone),
                language: Set(settings.language),
                brand_color: Set(settings.brand_color),
                logo_key: Set(settings.logo_key),
                sender_details: Set(settings.sender_details),
                quote_prefix: Set(settings.quote_prefix),
                quote_validity_days: Set(check::number("quote_validity_days", settings.quote_validity_days, 1, 3_650)?),
                ..ActiveModel::default()
            },
        )
        .await
    }

    /// Which logo it has, after all changes that are under way: also after one whose answer was lost.
    pub async fn settled_logo(&self, tenant: TenantId) -> Result<Option<String>, StoreError> {
        let tx = self.database.write().await?;
        let row = Entity::find_by_id(tenant).lock(LockType::NoKeyUpdate).one(tx.connection()).await?;
        tx.rollback().await?;
        Ok(row.and_then(|tenant| tenant.logo_key))
    }

    async fn set(&self, tx: Transaction, tenant: TenantId, changes: ActiveModel) -> Result<Tenant, StoreError> {
        let changes = ActiveModel { updated_at: Set(self.clock.now()), ..changes };
        tx.watch(Entity::find_by_id(tenant)).await?;
        Entity::update_many().set(changes).filter(Column::Id.eq(tenant)).exec(tx.connection()).await?;
        let tenant_now = find(tx.connection(), tenant).await?;
        tx.commit().await?;
        self.states.forget(|id, _| *id == tenant);
        Ok(tenant_now)
    }
}

/// Adds a tenant whose quotes count from 1.
pub(crate) async fn insert(
    tx: &Transaction,
    now: DateTime<Utc>,
    id: TenantId,
    settings: TenantSettings,
    state: TenantState,
) -> Result<Tenant, StoreError> {
    let settings = settings.checked()?;
    let tenant = Tenant {
        id,
        name: settings.name,
        currency: settings.currency,
        tax_rate: Exact(settings.tax_rate),
        tax_label: settings.tax_label,
        time_zone: settings.time_zone,
        language: settings.language,
        brand_color: settings.brand_color,
        logo_key: settings.logo_key,
        sender_details: settings.sender_details,
        quote_prefix: settings.quote_prefix,
        quote_next_number: 1,
        quote_validity_days: check::number("quote_validity_days", settings.quote_validity_days, 1, 3_650)?,
        state,
        delete_after: None,
        created_at: now,
        updated_at: now,
    };
    Entity::insert(tenant.clone().into_active_model()).exec_without_returning(tx.connection()).await?;
    Ok(tenant)
}

/// Takes the tenant's next quote number. The counter's row stays locked until the caller's transaction ends: a number is used by the
/// row it was taken for, or given back with the roll-back, so there are no gaps.
pub(crate) async fn take_quote_number(tx: &Transaction, tenant: TenantId) -> Result<String, StoreError> {
    let next = Expr::col(Column::QuoteNextNumber).add(1);
    Entity::update_many()
        .col_expr(Column::QuoteNextNumber, next)
        .filter(Column::Id.eq(tenant))
        .exec(tx.connection())
        .await?;
    let tenant = find(tx.connection(), tenant).await?;
    Ok(format!("{}{:05}", tenant.quote_prefix, tenant.quote_next_number - 1))
}

pub(crate) async fn find(connection: &impl ConnectionTrait, tenant: TenantId) -> Result<Tenant, StoreError> {
    Entity::find_by_id(tenant).one(connection).await?.ok_or(StoreError::NotFound { what: "tenant" })
}
