use rust_decimal::Decimal;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, FromJsonQueryResult, IntoActiveModel, QueryFilter, QueryOrder,
    entity::prelude::{
        ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EnumIter, Json, PrimaryKeyTrait,
    },
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::NewLine;
use crate::{
    database::{Exact, StoreError, Transaction, check},
    ids::{ProductId, QuoteId, TenantId},
};

const MOST_LINES: usize = 200;

/// A measure as the customer gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DimensionValue {
    pub name: String,
    #[schema(value_type = String)]
    pub value: Decimal,
    pub unit: String,
}

/// The measures of a line, as one column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult, ToSchema)]
#[serde(transparent)]
pub struct DimensionValues(pub Vec<DimensionValue>);

/// One line of a quote.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "quote_lines")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub quote_id: QuoteId,
    /// Counts from 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i32,
    pub tenant_id: TenantId,
    /// `None` if no product was recognised.
    pub product_id: Option<ProductId>,
    pub sku: String,
    pub description: String,
    pub dimensions: DimensionValues,
    /// A material's code.
    pub material: Option<String>,
    pub quantity: Exact,
    pub unit_price: Option<Exact>,
    pub total: Option<Exact>,
    /// How the price came about: a [`pricing::Explanation`](crate::pricing::Explanation).
    pub explanation: Option<Json>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// A quote's lines in their order.
pub(super) async fn of_quote(
    connection: &impl ConnectionTrait,
    tenant: TenantId,
    quote: QuoteId,
) -> Result<Vec<Model>, StoreError> {
    let select = Entity::find().filter(Column::QuoteId.eq(quote)).filter(Column::TenantId.eq(tenant));
    Ok(select.order_by_asc(Column::Position).all(connection).await?)
}

/// Takes the prices off the quote's lines.
pub(super) async fn forget_prices(tx: &Transaction, quote: QuoteId) -> Result<(), StoreError> {
    let changes =
        ActiveModel { unit_price: Set(None), total: Set(None), explanation: Set(None), ..ActiveModel::default() };
    Entity::update_many().set(changes).filter(Column::QuoteId.eq(quote)).exec(tx.connection()).await?;
    Ok(())
}

/// Puts these lines in the place of the quote's lines.
pub(super) async fn replace(
    tx: &Transaction,
    tenant: TenantId,
    quote: QuoteId,
    lines: Vec<NewLine>,
) -> Result<(), StoreError> {
    if lines.len() > MOST_LINES {
        return Err(StoreError::invalid("items", format!("at most {MOST_LINES} are allowed")));
    }
    Entity::delete_many().filter(Column::QuoteId.eq(quote)).exec(tx.connection()).await?;
    let mut rows = Vec::with_capacity(lines.len());
    for (position, line) in (1..).zip(lines) {
        let row = Model {
            quote_id: quote,
            position,
            tenant_id: tenant,
            product_id: line.product_id,
            sku: line.sku,
            description: check::lines("description", &line.description, 4_000)?,
            dimensions: DimensionValues(line.dimensions),
            material: line.material,
            quantity: Exact(line.quantity),
            unit_price: None,
            total: None,
            explanation: None,
        };
        rows.push(row.into_active_model());
    }
    if !rows.is_empty() {
        Entity::insert_many(rows).exec_without_returning(tx.connection()).await?;
    }
    Ok(())
}
