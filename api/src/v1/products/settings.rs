//! What a client says about a product.

use postrider_shared::products::{self, ProductSettings, ProductState};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::decimal::DecimalText;

/// A measure that the customer must give.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Dimension {
    /// As the formula names it.
    #[schema(pattern = "^[a-z][a-z0-9_]*$", max_length = 40)]
    name: String,
    /// The unit the formula counts in; what customers write is converted.
    #[schema(example = "mm")]
    unit: String,
    /// Smallest, in that unit.
    min: DecimalText,
    /// Largest, in that unit.
    max: DecimalText,
    /// What customers call it.
    #[serde(default)]
    aliases: Vec<String>,
}

impl From<products::Dimension> for Dimension {
    fn from(row: products::Dimension) -> Self {
        Self { name: row.name, unit: row.unit, min: row.min.into(), max: row.max.into(), aliases: row.aliases }
    }
}

impl From<Dimension> for products::Dimension {
    fn from(said: Dimension) -> Self {
        Self { name: said.name, unit: said.unit, min: said.min.0, max: said.max.0, aliases: said.aliases }
    }
}

/// A material that the customer may choose.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Material {
    /// The tenant's code for it.
    #[schema(max_length = 60)]
    code: String,
    /// As it stands on quotes.
    #[schema(max_length = 100)]
    name: String,
    /// What customers call it.
    #[serde(default)]
    aliases: Vec<String>,
    /// The formula's `material_rate`.
    rate: DecimalText,
}

impl From<products::Material> for Material {
    fn from(row: products::Material) -> Self {
        Self { code: row.code, name: row.name, aliases: row.aliases, rate: row.rate.into() }
    }
}

impl From<Material> for products::Material {
    fn from(said: Material) -> Self {
        Self { code: said.code, name: said.name, aliases: said.aliases, rate: said.rate.0 }
    }
}

/// A product to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProduct {
    /// The tenant's own number for it.
    #[schema(min_length = 1, max_length = 100)]
    sku: String,
    /// As it stands on quotes.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// More about it.
    #[serde(default)]
    #[schema(max_length = 4000)]
    description: String,
    /// What customers call it.
    #[serde(default)]
    aliases: Vec<String>,
    /// What a customer must say about its size.
    #[serde(default)]
    dimensions: Vec<Dimension>,
    /// What a customer must choose from; nothing if empty.
    #[serde(default)]
    materials: Vec<Material>,
    /// What one of it is called; `piece` if absent.
    #[schema(min_length = 1, max_length = 40)]
    unit_label: Option<String>,
    /// The price of one, of the dimensions' names, `quantity` and, with materials, `material_rate`.
    #[schema(min_length = 1, max_length = 4000, example = "width * height / 1000000 * material_rate")]
    formula: String,
    /// Least that is sold at once; 1 if absent.
    min_quantity: Option<DecimalText>,
    /// Most that is sold at once.
    max_quantity: Option<DecimalText>,
}

impl From<NewProduct> for ProductSettings {
    fn from(new: NewProduct) -> Self {
        Self {
            sku: new.sku,
            name: new.name,
            description: new.description,
            aliases: new.aliases,
            dimensions: new.dimensions.into_iter().map(Into::into).collect(),
            materials: new.materials.into_iter().map(Into::into).collect(),
            unit_label: new.unit_label.unwrap_or_else(|| "piece".to_owned()),
            formula: new.formula,
            min_quantity: new.min_quantity.map_or(Decimal::ONE, |least| least.0),
            max_quantity: new.max_quantity.map(|most| most.0),
            state: ProductState::Active,
        }
    }
}

/// What is to be different. What is left out stays; lists are replaced as a whole.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductChange {
    /// The tenant's own number for it.
    #[schema(min_length = 1, max_length = 100)]
    sku: Option<String>,
    /// As it stands on quotes.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// More about it.
    #[schema(max_length = 4000)]
    description: Option<String>,
    /// What customers call it.
    aliases: Option<Vec<String>>,
    /// What a customer must say about its size.
    dimensions: Option<Vec<Dimension>>,
    /// What a customer must choose from.
    materials: Option<Vec<Material>>,
    /// What one of it is called.
    #[schema(min_length = 1, max_length = 40)]
    unit_label: Option<String>,
    /// The price of one.
    #[schema(min_length = 1, max_length = 4000)]
    formula: Option<String>,
    /// Least that is sold at once.
    min_quantity: Option<DecimalText>,
    /// Most that is sold at once; null for no limit.
    #[expect(clippy::option_option, reason = "left out, null and a value are three things")]
    #[serde(default, deserialize_with = "crate::json::given")]
    #[schema(value_type = Option<DecimalText>)]
    max_quantity: Option<Option<DecimalText>>,
    /// Whether it is offered.
    state: Option<ProductState>,
}

impl ProductChange {
    /// The settings after the change.
    pub(super) fn applied(self, old: ProductSettings) -> ProductSettings {
        ProductSettings {
            sku: self.sku.unwrap_or(old.sku),
            name: self.name.unwrap_or(old.name),
            description: self.description.unwrap_or(old.description),
            aliases: self.aliases.unwrap_or(old.aliases),
            dimensions: self.dimensions.map_or(old.dimensions, |said| said.into_iter().map(Into::into).collect()),
            materials: self.materials.map_or(old.materials, |said| said.into_iter().map(Into::into).collect()),
            unit_label: self.unit_label.unwrap_or(old.unit_label),
            formula: self.formula.unwrap_or(old.formula),
            min_quantity: self.min_quantity.map_or(old.min_quantity, |least| least.0),
            max_quantity: self.max_quantity.map_or(old.max_quantity, |most| most.map(|most| most.0)),
            state: self.state.unwrap_or(old.state),
        }
    }
}
