//! One answered item against one product.

use std::str::FromStr;

use postrider_shared::ids::ProductId;
use postrider_shared::pricing::Unit;
use postrider_shared::products::{Dimension, Product};
use rust_decimal::Decimal;

use crate::providers::llm::{AnsweredDimension, AnsweredItem};

/// A line that may be priced: everything the product asks for, in the product's units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedItem {
    pub product_id: ProductId,
    pub sku: String,
    /// The product's name.
    pub description: String,
    pub dimensions: Vec<CheckedDimension>,
    pub material: Option<String>,
    pub quantity: Decimal,
}

/// A dimension in the product's declared unit, and as the customer wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedDimension {
    pub name: String,
    pub value: Decimal,
    pub unit: String,
    pub given: String,
}

/// All that is wrong at once, so that a person mends it in one go.
pub(super) fn against(product: &Product, item: &AnsweredItem) -> Result<CheckedItem, Vec<String>> {
    let mut problems = Vec::new();
    let mut note = |result: Result<(), String>| {
        if let Err(problem) = result {
            problems.push(problem);
        }
    };
    let mut dimensions = Vec::new();
    for declared in &product.dimensions.0 {
        note(dimension(declared, &item.dimensions).map(|checked| dimensions.push(checked)));
    }
    for given in &item.dimensions {
        let known = product.dimensions.0.iter().any(|declared| declared.name == given.name);
        note(if known { Ok(()) } else { Err(format!("the product has no dimension “{}”", super::short(&given.name))) });
    }
    let mut quantity = Decimal::ZERO;
    note(self::quantity(product, item.quantity.as_deref()).map(|number| quantity = number));
    let mut material = None;
    note(self::material(product, item.material.as_deref()).map(|code| material = code));
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(CheckedItem {
        product_id: product.id,
        sku: product.sku.clone(),
        description: product.name.clone(),
        dimensions,
        material,
        quantity,
    })
}

fn dimension(declared: &Dimension, given: &[AnsweredDimension]) -> Result<CheckedDimension, String> {
    let name = &declared.name;
    let mut matching = given.iter().filter(|given| given.name == *name);
    let given = matching.next().ok_or_else(|| format!("the {name} is missing"))?;
    if matching.next().is_some() {
        return Err(format!("the {name} is given more than once"));
    }
    let number = decimal(&given.value).ok_or_else(|| format!("the {name} is not a number"))?;
    let from = Unit::from_str(&given.unit).map_err(|error| format!("the {name}: {error}"))?;
    let to = Unit::from_str(&declared.unit).map_err(|error| format!("the {name}: {error}"))?;
    let value = from.convert(number, to).map_err(|error| format!("the {name}: {error}"))?;
    if value < declared.min || value > declared.max {
        let (min, max, unit) = (declared.min, declared.max, &declared.unit);
        return Err(format!("the {name} is {value} {unit}, allowed are {min} to {max} {unit}"));
    }
    Ok(CheckedDimension {
        name: name.clone(),
        value,
        unit: declared.unit.clone(),
        given: format!("{number} {from}"),
    })
}

fn quantity(product: &Product, given: Option<&str>) -> Result<Decimal, String> {
    let given = given.ok_or("the quantity is missing")?;
    let quantity = decimal(given).ok_or("the quantity is not a number")?;
    let (min, max) = (product.min_quantity.0, product.max_quantity.map(|max| max.0));
    if quantity <= Decimal::ZERO || quantity < min {
        return Err(format!("the quantity is {quantity}, at least {min} is needed"));
    }
    match max {
        Some(max) if quantity > max => Err(format!("the quantity is {quantity}, at most {max} is possible")),
        Some(_) | None => Ok(quantity.normalize()),
    }
}

fn material(product: &Product, given: Option<&str>) -> Result<Option<String>, String> {
    let codes = || product.materials.0.iter().map(|material| material.code.as_str()).collect::<Vec<_>>().join(", ");
    match given {
        None if product.materials.0.is_empty() => Ok(None),
        None => Err(format!("the material is missing or unknown, possible are {}", codes())),
        Some(given) if product.materials.0.iter().any(|material| material.code == given) => Ok(Some(given.to_owned())),
        Some(_) if product.materials.0.is_empty() => Err("the product has no choice of material".to_owned()),
        Some(given) => Err(format!("the material “{}” is unknown, possible are {}", super::short(given), codes())),
    }
}

/// A plain decimal number: digits, one dot, a sign. No exponents, no separators, nothing absurd.
fn decimal(text: &str) -> Option<Decimal> {
    let text = text.trim();
    let plain = text.len() <= 30 && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '+'));
    plain.then(|| Decimal::from_str_exact(text).ok()).flatten()
}
