//! What a person says a quote's lines are.

use std::collections::HashMap;
use std::str::FromStr as _;

use postrider_shared::ids::{QuoteId, TenantId};
use postrider_shared::pricing::{Currency, ExplainedInput, Unit, price_line};
use postrider_shared::products::Product;
use postrider_shared::quotes::NewLine;
use serde::Deserialize;
use utoipa::ToSchema;

use super::view::Measure;
use crate::app::App;
use crate::decimal::DecimalText;
use crate::json::Json;
use crate::problem::{Answer, Problem};

/// What the quote is to be.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Its lines, instead of the ones it has.
    #[schema(min_items = 1, max_items = 200)]
    pub items: Option<Vec<Item>>,
}

/// A line of the quote.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// The product's number.
    sku: String,
    /// What stands on the quote; the product's name if absent.
    #[schema(max_length = 4000)]
    description: Option<String>,
    /// Each dimension of the product, once, in any unit of its kind.
    #[serde(default)]
    dimensions: Vec<Measure>,
    /// A material's code; needed if, and only if, the product has materials.
    material: Option<String>,
    /// How many.
    quantity: DecimalText,
}

/// The lines that a body gives a quote instead of its own; none if it names none.
pub(super) async fn given(
    app: &App,
    tenant: TenantId,
    id: QuoteId,
    approval: Option<Json<Approval>>,
) -> Answer<Option<Vec<NewLine>>> {
    let quote = app.stores().quotes.get(tenant, id).await?;
    let Some(items) = approval.and_then(|Json(approval)| approval.items) else { return Ok(None) };
    lines(app, tenant, &quote.currency, items).await.map(Some)
}

/// The items as lines. Each is priced here once, so that what cannot be priced is refused now and not found in review again.
async fn lines(app: &App, tenant: TenantId, currency: &str, items: Vec<Item>) -> Answer<Vec<NewLine>> {
    let currency = Currency::from_str(currency).map_err(Problem::internal)?;
    let products = app.stores().products.offered(tenant).await?;
    let by_sku: HashMap<&str, &Product> = products.iter().map(|product| (product.sku.as_str(), product)).collect();
    let mut lines = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let at = format!("/items/{index}");
        let product = by_sku.get(item.sku.as_str()).ok_or_else(|| {
            Problem::field(format!("{at}/sku"), format!("No product with the sku {:?} is offered.", item.sku))
        })?;
        lines.push(line(&at, product, item, currency)?);
    }
    Ok(lines)
}

fn line(at: &str, product: &Product, item: Item, currency: Currency) -> Answer<NewLine> {
    let mut inputs = Vec::with_capacity(product.dimensions.0.len() + 1);
    for dimension in &product.dimensions.0 {
        inputs.push(measure(at, &dimension.name, &dimension.unit, &item.dimensions)?);
    }
    let unknown = |measure: &&Measure| !product.dimensions.0.iter().any(|dimension| dimension.name == measure.name);
    if let Some(measure) = item.dimensions.iter().find(unknown) {
        let detail = format!("Product {} has no dimension {:?}.", product.sku, measure.name);
        return Err(Problem::field(format!("{at}/dimensions"), detail));
    }
    inputs.extend(rate(at, product, item.material.as_deref())?);
    let quantity = item.quantity.0;
    let formula = product.parsed_formula()?;
    price_line(&formula, inputs, quantity, currency)
        .map_err(|error| Problem::field(at, format!("Product {} cannot be priced so: {error}.", product.sku)))?;
    Ok(NewLine {
        product_id: Some(product.id),
        sku: product.sku.clone(),
        description: item.description.unwrap_or_else(|| product.name.clone()),
        dimensions: item.dimensions.into_iter().map(Into::into).collect(),
        material: item.material,
        quantity,
    })
}

/// The one measure of this name, in the product's unit.
fn measure(at: &str, name: &str, unit: &str, given: &[Measure]) -> Answer<ExplainedInput> {
    let pointer = format!("{at}/dimensions");
    let mut named = given.iter().filter(|measure| measure.name == name);
    let (Some(measure), None) = (named.next(), named.next()) else {
        return Err(Problem::field(pointer, format!("Give the dimension {name:?} exactly once.")));
    };
    let wanted = Unit::from_str(unit).map_err(Problem::internal)?;
    let converted = Unit::from_str(&measure.unit).and_then(|given| given.convert(measure.value.0, wanted));
    let value = converted.map_err(|error| Problem::field(pointer, format!("{name}: {error}.")))?;
    Ok(ExplainedInput { name: name.to_owned(), value, unit: Some(unit.to_owned()), given: None })
}

/// The material's rate; none if the product has no materials.
fn rate(at: &str, product: &Product, code: Option<&str>) -> Answer<Option<ExplainedInput>> {
    let materials = &product.materials.0;
    let refuse = |detail: String| Err(Problem::field(format!("{at}/material"), detail));
    match code {
        None if materials.is_empty() => Ok(None),
        None => refuse(format!("Product {} needs a material.", product.sku)),
        Some(code) => match materials.iter().find(|material| material.code == code) {
            Some(material) => {
                let (name, value) = ("material_rate".to_owned(), material.rate);
                Ok(Some(ExplainedInput { name, value, unit: None, given: None }))
            }
            None => refuse(format!("Product {} has no material {code:?}.", product.sku)),
        },
    }
}
