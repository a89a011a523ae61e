//! How much of the committed mails and documents came out right, item by item.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::mails::Dimension;
use crate::{documents, mails};

/// An item that a quote must have.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    sku: &'a str,
    quantity: &'a str,
    material: Option<&'a str>,
    dimensions: &'a [Dimension],
}

impl<'a> From<&'a mails::Item> for Wanted<'a> {
    fn from(item: &'a mails::Item) -> Self {
        Self {
            sku: &item.sku,
            quantity: &item.quantity,
            material: item.material.as_deref(),
            dimensions: &item.dimensions,
        }
    }
}

impl<'a> From<&'a documents::Item> for Wanted<'a> {
    fn from(item: &'a documents::Item) -> Self {
        Self {
            sku: &item.sku,
            quantity: &item.quantity,
            material: item.material.as_deref(),
            dimensions: &item.dimensions,
        }
    }
}

impl Wanted<'_> {
    fn is(&self, line: &Value) -> bool {
        let number = |value: &Value| value.as_str().and_then(|text| text.parse::<Decimal>().ok());
        let sizes = line["dimensions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let has = |wanted: &Dimension| {
            sizes.iter().any(|size| {
                size["name"] == wanted.name.as_str()
                    && millimetres(&text(&size["value"]), &text(&size["unit"]))
                        == millimetres(&wanted.value, &wanted.unit)
            })
        };
        line["sku"] == self.sku
            && line["material"] == json!(self.material)
            && number(&line["quantity"]) == self.quantity.parse().ok()
            && sizes.len() == self.dimensions.len()
            && self.dimensions.iter().all(has)
    }
}

/// Expected items that are the quote's lines, in their order.
pub fn right_lines<'a, I: Into<Wanted<'a>>>(items: impl IntoIterator<Item = I>, quote: &Value) -> usize {
    let lines = quote["lines"].as_array().map(Vec::as_slice).unwrap_or_default();
    items.into_iter().map(Into::into).zip(lines).filter(|(item, line)| item.is(line)).count()
}

/// A quote keeps a measure as the customer gave it; an expectation may have another unit. `None` for what is no length.
pub fn millimetres(value: &str, unit: &str) -> Option<Decimal> {
    let factor = match unit {
        "mm" => "1",
        "cm" => "10",
        "m" => "1000",
        "in" => "25.4",
        "ft" => "304.8",
        _ => return None,
    };
    Some((value.parse::<Decimal>().ok()? * factor.parse::<Decimal>().ok()?).normalize())
}
