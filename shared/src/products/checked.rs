//! The check of a product when it is saved: above all, that its formula prices everything its ranges allow.

use std::{collections::HashSet, str::FromStr};

use rust_decimal::Decimal;

use super::{Dimension, Material, ProductSettings};
use crate::{
    database::{StoreError, check},
    pricing::{Formula, FormulaVariables, Unit},
};

/// Where a product states no largest quantity, formulas are tried out up to this one.
const LARGEST_QUANTITY: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);
const MOST_ALIASES: usize = 50;
const MOST_MATERIALS: usize = 100;

impl ProductSettings {
    pub(super) fn checked(self) -> Result<Self, StoreError> {
        if self.min_quantity <= Decimal::ZERO {
            return Err(StoreError::invalid("min_quantity", "must be above zero"));
        }
        if self.max_quantity.is_some_and(|most| most < self.min_quantity || most > LARGEST_QUANTITY) {
            return Err(StoreError::invalid("max_quantity", "must be from min_quantity to 1000000"));
        }
        let checked = Self {
            sku: check::line("sku", &self.sku, 100)?,
            name: check::line("name", &self.name, 200)?,
            description: check::lines("description", &self.description, 4_000)?,
            aliases: aliases(&self.aliases)?,
            dimensions: dimensions(self.dimensions)?,
            materials: materials(self.materials)?,
            unit_label: check::line("unit_label", &self.unit_label, 40)?,
            formula: check::lines("formula", &self.formula, 4_000)?,
            ..self
        };
        checked.parsed_formula()?;
        Ok(checked)
    }

    /// The formula, tried out over the ranges of its variables.
    pub fn parsed_formula(&self) -> Result<Formula, StoreError> {
        let most = self.max_quantity.unwrap_or(LARGEST_QUANTITY.max(self.min_quantity));
        let mut variables = FormulaVariables::new().range("quantity", self.min_quantity, most)?;
        for dimension in &self.dimensions {
            variables = variables.range(&dimension.name, dimension.min, dimension.max)?;
        }
        if !self.materials.is_empty() {
            let rates = self.materials.iter().map(|material| material.rate).collect();
            variables = variables.one_of("material_rate", rates)?;
        }
        Ok(Formula::parse(&self.formula, &variables)?)
    }
}

fn aliases(aliases: &[String]) -> Result<Vec<String>, StoreError> {
    if aliases.len() > MOST_ALIASES {
        return Err(StoreError::invalid("aliases", format!("at most {MOST_ALIASES} are allowed")));
    }
    aliases.iter().map(|alias| check::line("aliases", alias, 100)).collect()
}

fn dimensions(dimensions: Vec<Dimension>) -> Result<Vec<Dimension>, StoreError> {
    let mut checked = Vec::with_capacity(dimensions.len());
    for dimension in dimensions {
        let unit =
            Unit::from_str(&dimension.unit).map_err(|error| StoreError::invalid("dimensions", error.to_string()))?;
        if dimension.min < Decimal::ZERO {
            return Err(StoreError::invalid("dimensions", format!("`{}` must not start below zero", dimension.name)));
        }
        checked.push(Dimension {
            name: check::line("dimensions", &dimension.name, 40)?,
            unit: unit.name().to_owned(),
            aliases: aliases(&dimension.aliases)?,
            ..dimension
        });
    }
    Ok(checked)
}

fn materials(materials: Vec<Material>) -> Result<Vec<Material>, StoreError> {
    if materials.len() > MOST_MATERIALS {
        return Err(StoreError::invalid("materials", format!("at most {MOST_MATERIALS} are allowed")));
    }
    let mut codes = HashSet::new();
    let mut checked = Vec::with_capacity(materials.len());
    for material in materials {
        let code = check::line("materials", &material.code, 60)?;
        if !codes.insert(code.clone()) {
            return Err(StoreError::invalid("materials", format!("code `{code}` is used twice")));
        }
        checked.push(Material {
            code,
            name: check::line("materials", &material.name, 100)?,
            aliases: aliases(&material.aliases)?,
            ..material
        });
    }
    Ok(checked)
}
