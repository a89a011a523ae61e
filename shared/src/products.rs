//! What a tenant sells: how customers name it, what they must say about it, and the formula that prices it.

mod checked;
mod row;
mod store;

use rust_decimal::Decimal;
use sea_orm::FromJsonQueryResult;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use row::Model as Product;
pub(crate) use row::{ActiveModel, Column, Entity};
pub use store::Products;

use crate::words::words;

words! {
    /// Whether a product is offered.
    "product state"
    enum ProductState {
        Active = "active",
        /// Kept for the quotes that name it; not offered to the language model.
        Archived = "archived",
    }
}

/// A measure that the customer must give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Dimension {
    /// As the formula names it: a letter, then letters, digits and `_`.
    pub name: String,
    /// The unit the formula counts in, such as `mm`; others are converted.
    pub unit: String,
    /// In that unit.
    #[schema(value_type = String)]
    pub min: Decimal,
    /// In that unit.
    #[schema(value_type = String)]
    pub max: Decimal,
    /// What customers call it.
    #[serde(default)]
    pub aliases: Vec<String>,
}

/// A material that the customer may choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Material {
    pub code: String,
    pub name: String,
    /// What customers call it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The formula's `material_rate`.
    #[schema(value_type = String)]
    pub rate: Decimal,
}

/// The dimensions of a product, as one column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult, ToSchema)]
#[serde(transparent)]
pub struct Dimensions(pub Vec<Dimension>);

/// The materials of a product, as one column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult, ToSchema)]
#[serde(transparent)]
pub struct Materials(pub Vec<Material>);

/// What a product is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductSettings {
    pub sku: String,
    pub name: String,
    pub description: String,
    /// What customers call it.
    pub aliases: Vec<String>,
    pub dimensions: Vec<Dimension>,
    /// Empty if there is nothing to choose.
    pub materials: Vec<Material>,
    /// What one of it is called, such as `piece`.
    pub unit_label: String,
    /// The price of one, in the tenant's currency.
    pub formula: String,
    pub min_quantity: Decimal,
    /// `None`: any that a price can be calculated for.
    pub max_quantity: Option<Decimal>,
    pub state: ProductState,
}
