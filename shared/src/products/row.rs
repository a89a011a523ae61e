use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
};

use super::{Dimensions, Materials, ProductSettings, ProductState};
use crate::{
    database::{Exact, StoreError, Texts},
    ids::{ProductId, TenantId},
    pricing::Formula,
};

/// Something a tenant sells.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "products")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ProductId,
    pub tenant_id: TenantId,
    pub sku: String,
    pub name: String,
    pub description: String,
    pub aliases: Texts,
    pub dimensions: Dimensions,
    pub materials: Materials,
    pub unit_label: String,
    pub formula: String,
    pub min_quantity: Exact,
    pub max_quantity: Option<Exact>,
    pub state: ProductState,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// The settings a person may change.
    pub fn settings(&self) -> ProductSettings {
        ProductSettings {
            sku: self.sku.clone(),
            name: self.name.clone(),
            description: self.description.clone(),
            aliases: self.aliases.0.clone(),
            dimensions: self.dimensions.0.clone(),
            materials: self.materials.0.clone(),
            unit_label: self.unit_label.clone(),
            formula: self.formula.clone(),
            min_quantity: self.min_quantity.0,
            max_quantity: self.max_quantity.map(|most| most.0),
            state: self.state,
        }
    }

    /// The formula, ready to price.
    pub fn parsed_formula(&self) -> Result<Formula, StoreError> {
        self.settings().parsed_formula()
    }
}
