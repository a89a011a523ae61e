//! The names a formula may use, each with the values it can take, and the values of one request.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::{FormulaError, PricingError, syntax};

/// What a formula may speak of. The product declares it: its dimensions, `quantity`, and `material_rate` if it lists
/// materials.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FormulaVariables(Vec<Variable>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) values: Values,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Values {
    Range { min: Decimal, max: Decimal },
    OneOf(Vec<Decimal>),
}

/// The values of one line item, each in the unit the product declares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs(BTreeMap<String, Decimal>);

/// More would make the try-out of a formula's corners meaningless, and no product has them.
const MAX_VARIABLES: usize = 16;

impl FormulaVariables {
    pub fn new() -> Self {
        Self::default()
    }

    /// A number from `min` to `max`, both included.
    pub fn range(self, name: &str, min: Decimal, max: Decimal) -> Result<Self, FormulaError> {
        if min > max {
            return Err(FormulaError::whole(format!("the range of `{name}` ends ({max}) below its start ({min})")));
        }
        self.with(name, Values::Range { min, max })
    }

    /// One of a list of numbers, such as the rates of a product's materials.
    pub fn one_of(self, name: &str, values: Vec<Decimal>) -> Result<Self, FormulaError> {
        if values.is_empty() {
            return Err(FormulaError::whole(format!("`{name}` has no value to choose from")));
        }
        self.with(name, Values::OneOf(values))
    }

    fn with(mut self, name: &str, values: Values) -> Result<Self, FormulaError> {
        if !syntax::is_name(name) {
            return Err(FormulaError::whole(format!(
                "`{name}` cannot be used as a name in a formula: write lower-case letters, digits and _, starting with a \
                 letter, and none of the formula language's own words"
            )));
        }
        if self.0.iter().any(|variable| variable.name == name) {
            return Err(FormulaError::whole(format!("two things are called `{name}`")));
        }
        if self.0.len() == MAX_VARIABLES {
            return Err(FormulaError::whole(format!("a formula can use at most {MAX_VARIABLES} names")));
        }
        self.0.push(Variable { name: name.to_owned(), values });
        Ok(self)
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|variable| variable.name == name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Variable> {
        self.0.iter()
    }

    /// The inputs in the order of the variables, each checked against its declared values.
    pub(super) fn values(&self, inputs: &Inputs) -> Result<Vec<Decimal>, PricingError> {
        self.0.iter().map(|variable| variable.check(inputs)).collect()
    }

    /// The names, for a message: "`width`, `height` and `quantity`".
    pub(super) fn names(&self) -> String {
        let names: Vec<_> = self.0.iter().map(|variable| format!("`{}`", variable.name)).collect();
        match names.split_last() {
            None => "none".to_owned(),
            Some((last, [])) => last.clone(),
            Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        }
    }
}

impl Variable {
    fn check(&self, inputs: &Inputs) -> Result<Decimal, PricingError> {
        let value = inputs.get(&self.name).ok_or_else(|| PricingError::Missing { name: self.name.clone() })?;
        let (fits, allowed) = match &self.values {
            Values::Range { min, max } => (*min <= value && value <= *max, format!("{min} to {max}")),
            Values::OneOf(values) => (values.contains(&value), "the listed values".to_owned()),
        };
        if fits { Ok(value) } else { Err(PricingError::OutOfRange { name: self.name.clone(), value, allowed }) }
    }
}

impl Inputs {
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: Decimal) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    pub fn get(&self, name: &str) -> Option<Decimal> {
        self.0.get(name).copied()
    }
}
