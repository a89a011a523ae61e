//! What a customer asks for, against the product that answers it. Also run over lines that a person approved.

use std::str::FromStr;

use postrider_shared::pricing::Unit;
use postrider_shared::products::{Dimension, Product};
use postrider_shared::quotes::{DimensionValue, NewLine};
use rust_decimal::Decimal;

/// One position as it was stated; what is missing is `None` or not in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated {
    pub dimensions: Vec<DimensionValue>,
    pub material: Option<String>,
    pub quantity: Option<Decimal>,
}

/// A line that may be priced, everything in the product's units; or all that is wrong at once, so that a person
/// mends it in one go.
pub fn line(product: &Product, stated: &Stated) -> Result<NewLine, Vec<String>> {
    let mut problems = Vec::new();
    let mut dimensions = Vec::new();
    for declared in &product.dimensions.0 {
        match dimension(declared, &stated.dimensions) {
            Ok(checked) => dimensions.push(checked),
            Err(problem) => problems.push(problem),
        }
    }
    for given in &stated.dimensions {
        if !product.dimensions.0.iter().any(|declared| declared.name == given.name) {
            problems.push(format!("the product has no dimension “{}”", super::short(&given.name)));
        }
    }
    let quantity = quantity(product, stated.quantity).unwrap_or_else(|problem| {
        problems.push(problem);
        Decimal::ZERO
    });
    if let Err(problem) = material(product, stated.material.as_deref()) {
        problems.push(problem);
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(NewLine {
        product_id: Some(product.id),
        sku: product.sku.clone(),
        description: product.name.clone(),
        dimensions,
        material: stated.material.clone(),
        quantity,
    })
}

fn dimension(declared: &Dimension, given: &[DimensionValue]) -> Result<DimensionValue, String> {
    let name = &declared.name;
    let mut matching = given.iter().filter(|given| given.name == *name);
    let given = matching.next().ok_or_else(|| format!("the {name} is missing"))?;
    if matching.next().is_some() {
        return Err(format!("the {name} is given more than once"));
    }
    let wrong = |error| format!("the {name}: {error}");
    let from = Unit::from_str(&given.unit).map_err(wrong)?;
    let to = Unit::from_str(&declared.unit).map_err(wrong)?;
    let value = from.convert(given.value, to).map_err(wrong)?;
    if value < declared.min || value > declared.max {
        let (min, max, unit) = (declared.min, declared.max, &declared.unit);
        return Err(format!("the {name} is {value} {unit}, allowed are {min} to {max} {unit}"));
    }
    Ok(DimensionValue { name: name.clone(), value, unit: declared.unit.clone() })
}

fn quantity(product: &Product, stated: Option<Decimal>) -> Result<Decimal, String> {
    let quantity = stated.ok_or("the quantity is missing or not a number")?;
    let (min, max) = (product.min_quantity.0, product.max_quantity.map(|max| max.0));
    if quantity <= Decimal::ZERO || quantity < min {
        return Err(format!("the quantity is {quantity}, at least {min} is needed"));
    }
    match max {
        Some(max) if quantity > max => Err(format!("the quantity is {quantity}, at most {max} is possible")),
        Some(_) | None => Ok(quantity.normalize()),
    }
}

fn material(product: &Product, stated: Option<&str>) -> Result<(), String> {
    let codes = || product.materials.0.iter().map(|material| material.code.as_str()).collect::<Vec<_>>().join(", ");
    match stated {
        None if product.materials.0.is_empty() => Ok(()),
        None => Err(format!("the material is missing or unknown, possible are {}", codes())),
        Some(stated) if product.materials.0.iter().any(|material| material.code == stated) => Ok(()),
        Some(_) if product.materials.0.is_empty() => Err("the product has no choice of material".to_owned()),
        Some(stated) => Err(format!("the material “{}” is unknown, possible are {}", super::short(stated), codes())),
    }
}

/// A plain decimal number: digits, one dot, a sign. No exponents, no separators, nothing absurd.
pub(super) fn decimal(text: &str) -> Option<Decimal> {
    let text = text.trim();
    let plain = text.len() <= 30 && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '+'));
    plain.then(|| Decimal::from_str_exact(text).ok()).flatten()
}
