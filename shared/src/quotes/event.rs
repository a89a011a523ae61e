//! What happened to a quote: one row per change, never altered.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    entity::prelude::{
        ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EnumIter, PrimaryKeyTrait,
    },
};

use super::{Quote, QuoteState};
use crate::{
    database::{StoreError, Transaction},
    ids::{QuoteId, TenantId},
    words::words,
};

words! {
    /// Who changed a quote.
    "quote actor"
    enum Actor {
        /// A job or a duty of the platform.
        System = "system",
        /// Somebody of the tenant, over the API.
        Agent = "agent",
        /// Who asked for the quote.
        Customer = "customer",
    }
}

/// Who changes a quote, and by what means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    pub actor: Actor,
    /// Such as `key 0197…`, `link` or `reply 0197…`.
    pub via: Option<String>,
}

impl By {
    pub const SYSTEM: Self = Self { actor: Actor::System, via: None };

    pub fn agent(via: impl Into<String>) -> Self {
        Self { actor: Actor::Agent, via: Some(via.into()) }
    }

    pub fn customer(via: impl Into<String>) -> Self {
        Self { actor: Actor::Customer, via: Some(via.into()) }
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "quote_events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub quote_id: QuoteId,
    /// Counts from 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i32,
    pub tenant_id: TenantId,
    /// The quote's, after the change.
    pub revision: i32,
    /// `None` when the quote was made.
    pub from_state: Option<QuoteState>,
    pub to_state: QuoteState,
    pub actor: Actor,
    pub via: Option<String>,
    pub reason: Option<String>,
    pub created_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Notes what became of a quote. The caller holds the quote's row, so positions have no gaps.
pub(super) async fn append(
    tx: &Transaction,
    now: DateTime<Utc>,
    from: Option<QuoteState>,
    quote: &Quote,
    by: &By,
) -> Result<(), StoreError> {
    let last: Option<Option<i32>> = Entity::find()
        .select_only()
        .column_as(Column::Position.max(), "position")
        .filter(Column::QuoteId.eq(quote.id))
        .into_tuple()
        .one(tx.connection())
        .await?;
    let event = Model {
        quote_id: quote.id,
        position: last.flatten().unwrap_or_default() + 1,
        tenant_id: quote.tenant_id,
        revision: quote.revision,
        from_state: from,
        to_state: quote.state,
        actor: by.actor,
        via: by.via.clone(),
        reason: quote.reason.clone(),
        created_at: now,
    };
    Entity::insert(event.into_active_model()).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// Whether a person of the tenant made or approved this revision.
pub(super) async fn is_approved(
    connection: &impl ConnectionTrait,
    tenant: TenantId,
    quote: QuoteId,
    revision: u32,
) -> Result<bool, StoreError> {
    let select = Entity::find().filter(Column::QuoteId.eq(quote)).filter(Column::TenantId.eq(tenant));
    let by_person = select.filter(Column::Revision.eq(revision)).filter(Column::Actor.eq(Actor::Agent));
    Ok(by_person.filter(Column::ToState.eq(QuoteState::Draft)).limit(1).one(connection).await?.is_some())
}

/// A quote's events, oldest first.
pub(super) async fn of_quote(
    connection: &impl ConnectionTrait,
    tenant: TenantId,
    quote: QuoteId,
) -> Result<Vec<Model>, StoreError> {
    let select = Entity::find().filter(Column::QuoteId.eq(quote)).filter(Column::TenantId.eq(tenant));
    Ok(select.order_by_asc(Column::Position).limit(1_000).all(connection).await?)
}
