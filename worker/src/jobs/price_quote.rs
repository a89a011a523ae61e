//! Prices a draft by the formulas of its products, and keeps how each price came about. What cannot be priced goes
//! to a person; nobody gets a wrong price.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::str::FromStr;

use chrono::Days;
use postrider_queue::{Done, Outcome, Stop};
use postrider_shared::ids::{ProductId, TenantId};
use postrider_shared::jobs::{PriceQuote, RenderQuote};
use postrider_shared::pricing::{Currency, ExplainedInput, LinePrice, Totals, price_line};
use postrider_shared::products::Product;
use postrider_shared::quotes::{PricedLine, PricedQuote, Quote, QuoteLine, QuoteState, Step};
use postrider_shared::tenants::Tenant;
use serde_json::json;

use crate::context::Context;
use crate::extraction::{Stated, line};
use crate::registry::Handler;

impl Handler for PriceQuote {
    async fn run(self, ctx: &Context) -> Outcome {
        let tenant = ctx.tenant()?;
        let quote = ctx.quotes.get(tenant, self.quote_id).await?;
        if quote.state != QuoteState::Draft {
            return follow(ctx, &quote);
        }
        let owner = ctx.tenants.get(tenant).await?;
        let lines = ctx.quotes.lines(tenant, quote.id).await?;
        let products = products(ctx, tenant, &lines).await?;
        let step = match price(ctx, &owner, &quote, &lines, &products) {
            Ok(priced) => ctx.quotes.price(tenant, quote.id, quote.revision(), priced).await?,
            Err(problems) => ctx.quotes.review(tenant, quote.id, quote.revision(), &problems.join("; ")).await?,
        };
        match step {
            Step::Taken(quote) | Step::NotTaken(quote) => follow(ctx, &quote),
        }
    }
}

fn follow(ctx: &Context, quote: &Quote) -> Outcome {
    let done = Done::with(json!({ "quote_id": quote.id, "quote": quote.state, "total": quote.total }));
    if quote.state != QuoteState::Priced {
        return Ok(done);
    }
    let revision = quote.revision();
    let parts = ["render", &quote.id.to_string(), &revision.to_string()];
    Ok(done.then(ctx.follow_up(&RenderQuote { quote_id: quote.id, revision }, &parts)?))
}

async fn products(ctx: &Context, tenant: TenantId, lines: &[QuoteLine]) -> Result<BTreeMap<ProductId, Product>, Stop> {
    let mut products = BTreeMap::new();
    for id in lines.iter().filter_map(|line| line.product_id) {
        if let Slot::Vacant(slot) = products.entry(id) {
            slot.insert(ctx.products.get(tenant, id).await?);
        }
    }
    Ok(products)
}

/// All prices and sums, or everything that stands in their way.
fn price(
    ctx: &Context,
    owner: &Tenant,
    quote: &Quote,
    lines: &[QuoteLine],
    products: &BTreeMap<ProductId, Product>,
) -> Result<PricedQuote, Vec<String>> {
    let currency = Currency::from_str(&quote.currency).map_err(|error| vec![error.to_string()])?;
    let mut priced = Vec::new();
    let mut problems = Vec::new();
    for row in lines {
        let product = row.product_id.and_then(|id| products.get(&id));
        let result = product.ok_or_else(|| vec!["no product is named".to_owned()]);
        match result.and_then(|product| price_row(row, product, currency)) {
            Ok(price) => priced.push(PricedLine {
                position: row.position,
                unit_price: price.unit_price,
                total: price.total,
                explanation: serde_json::to_value(&price.explanation).unwrap_or_default(),
            }),
            Err(more) => {
                problems
                    .extend(more.into_iter().map(|problem| format!("item {} ({}): {problem}", row.position, row.sku)));
            }
        }
    }
    if lines.is_empty() {
        problems.push("the quote has no lines".to_owned());
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let totals = Totals::of(priced.iter().map(|line| line.total), owner.tax_rate.0, currency);
    let totals = totals.map_err(|error| vec![error.to_string()])?;
    let today = owner.time_zone.day_of(ctx.clock.now());
    let days = Days::new(u64::from(owner.quote_validity_days.unsigned_abs()));
    let valid_until = today.checked_add_days(days).unwrap_or(today);
    Ok(PricedQuote { lines: priced, totals, valid_until })
}

/// Checks the line against the product as it is now: a person may have approved it, or changed the product since.
fn price_row(row: &QuoteLine, product: &Product, currency: Currency) -> Result<LinePrice, Vec<String>> {
    let stated =
        Stated { dimensions: row.dimensions.0.clone(), material: row.material.clone(), quantity: Some(row.quantity.0) };
    let checked = line(product, &stated)?;
    let mut inputs = Vec::new();
    for dimension in checked.dimensions {
        let given = row.dimensions.0.iter().find(|given| given.name == dimension.name && given.unit != dimension.unit);
        inputs.push(ExplainedInput {
            name: dimension.name,
            value: dimension.value,
            unit: Some(dimension.unit),
            given: given.map(|given| format!("{} {}", given.value, given.unit)),
        });
    }
    let material = product.materials.0.iter().find(|material| Some(&material.code) == checked.material.as_ref());
    if let Some(material) = material {
        inputs.push(ExplainedInput {
            name: "material_rate".to_owned(),
            value: material.rate,
            unit: None,
            given: Some(material.name.clone()),
        });
    }
    let formula = product.parsed_formula().map_err(|error| vec![error.to_string()])?;
    price_line(&formula, inputs, checked.quantity, currency).map_err(|error| vec![error.to_string()])
}
