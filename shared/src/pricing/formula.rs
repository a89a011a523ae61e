//! The price of one unit, as the tenant writes it: `0.00012 * width * height + 4.50`.

mod error;
mod expression;
mod syntax;
mod trial;
mod variables;

use std::sync::Arc;

use rust_decimal::Decimal;

pub use error::{FormulaError, Position, PricingError};
pub use variables::{FormulaVariables, Inputs};

use expression::Number;

/// A unit price above this is a mistake in the formula or in the mail, in any currency.
pub const MAX_UNIT_PRICE: Decimal = Decimal::from_parts(1_000_000_000, 0, 0, false, 0);

/// A formula that was understood as a whole. Cheap to clone; evaluating it always ends, because it has no loops.
#[derive(Debug, Clone)]
pub struct Formula {
    text: String,
    variables: FormulaVariables,
    tree: Arc<Number>,
}

/// What a formula gave for one set of inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priced {
    /// Exact, not rounded yet; above zero.
    pub unit_price: Decimal,
    /// The formula with the values put in and only the branches taken: `0.00012 * 1200 * 800 + 4.50`.
    pub working: String,
}

impl Formula {
    /// Understands a formula and tries it over the corners of its variables' ranges, so that a formula that divides by
    /// zero, or that gives a price of zero, below zero or beyond reason, is refused when it is saved, not when a customer
    /// waits. Takes milliseconds at most.
    pub fn parse(text: &str, variables: &FormulaVariables) -> Result<Self, FormulaError> {
        let formula = Self {
            text: text.to_owned(),
            variables: variables.clone(),
            tree: Arc::new(syntax::parse(text, variables)?),
        };
        trial::try_out(&formula)?;
        Ok(formula)
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The price of one unit, before rounding. Refuses missing values, values outside their declared range, and results
    /// that are not a price.
    pub fn unit_price(&self, inputs: &Inputs) -> Result<Priced, PricingError> {
        let values = self.variables.values(inputs)?;
        let unit_price = self.evaluate(&values)?;
        Ok(Priced { unit_price, working: self.tree.working(&values, &self.variables) })
    }

    fn evaluate(&self, values: &[Decimal]) -> Result<Decimal, PricingError> {
        let result = self.tree.evaluate(values)?;
        if result <= Decimal::ZERO {
            Err(PricingError::NotPositive { result: result.normalize() })
        } else if result > MAX_UNIT_PRICE {
            Err(PricingError::Absurd { result: result.round_dp(2) })
        } else {
            Ok(result.normalize())
        }
    }
}

#[cfg(test)]
mod tests;
