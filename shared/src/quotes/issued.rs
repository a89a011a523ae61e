//! Revisions that were replaced by a later one, as the customer got them.

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    entity::prelude::{
        ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EnumIter, Json, PrimaryKeyTrait,
    },
};
use serde_json::json;

use super::{Quote, QuoteLine, QuoteState};
use crate::{
    database::{Exact, StoreError, Transaction},
    ids::{QuoteId, TenantId},
};

/// A revision that has a PDF and is no longer the quote's own.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "quote_revisions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub quote_id: QuoteId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub revision: i32,
    pub tenant_id: TenantId,
    /// As it stands on the PDF.
    pub number: Option<String>,
    /// Where the quote was when it was replaced.
    pub state: QuoteState,
    pub language: String,
    pub currency: String,
    pub subtotal: Option<Exact>,
    pub tax: Option<Exact>,
    pub total: Option<Exact>,
    pub tax_rate: Option<Exact>,
    pub valid_until: Option<NaiveDate>,
    /// Name of the PDF in the object store, where it stays.
    pub pdf_key: String,
    /// Its lines with their prices.
    pub lines: Json,
    /// When it was replaced.
    pub created_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Keeps the quote as it is, before it is changed.
pub(super) async fn keep(
    tx: &Transaction,
    now: DateTime<Utc>,
    quote: &Quote,
    pdf_key: String,
    lines: &[QuoteLine],
) -> Result<(), StoreError> {
    let kept = Model {
        quote_id: quote.id,
        revision: quote.revision,
        tenant_id: quote.tenant_id,
        number: quote.shown_number(),
        state: quote.state,
        language: quote.language.clone(),
        currency: quote.currency.clone(),
        subtotal: quote.subtotal,
        tax: quote.tax,
        total: quote.total,
        tax_rate: quote.tax_rate,
        valid_until: quote.valid_until,
        pdf_key,
        lines: lines.iter().map(line).collect(),
        created_at: now,
    };
    Entity::insert(kept.into_active_model()).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// Amounts as text, so that no reader takes them for binary fractions.
fn line(line: &QuoteLine) -> Json {
    let text = |amount: Option<Exact>| amount.map(|amount| amount.to_string());
    json!({
        "position": line.position,
        "product_id": line.product_id,
        "sku": line.sku,
        "description": line.description,
        "dimensions": line.dimensions,
        "material": line.material,
        "quantity": line.quantity.to_string(),
        "unit_price": text(line.unit_price),
        "total": text(line.total),
    })
}

/// A quote's earlier revisions, oldest first.
pub(super) async fn of_quote(
    connection: &impl ConnectionTrait,
    tenant: TenantId,
    quote: QuoteId,
) -> Result<Vec<Model>, StoreError> {
    let select = Entity::find().filter(Column::QuoteId.eq(quote)).filter(Column::TenantId.eq(tenant));
    Ok(select.order_by_asc(Column::Revision).all(connection).await?)
}
