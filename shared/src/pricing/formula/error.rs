//! Why a formula is refused, or gives no price, in the words of the person who wrote it.

use std::fmt;

use rust_decimal::Decimal;
use serde::Serialize;

/// Where in the formula's text; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// A formula that cannot be saved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
pub struct FormulaError {
    /// Absent if the reason concerns the whole formula.
    pub position: Option<Position>,
    pub reason: String,
    /// The values that bring the failure about, if it shows only with some.
    pub values: Vec<(String, Decimal)>,
}

/// Why there is no price for these inputs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PricingError {
    #[error("no value for `{name}`")]
    Missing { name: String },
    #[error("`{name}` is {value}, which is outside {allowed}")]
    OutOfRange { name: String, value: Decimal, allowed: String },
    #[error("the formula divides by zero ({position})")]
    DivisionByZero { position: Position },
    #[error("a number in the formula becomes too large ({position})")]
    TooLarge { position: Position },
    #[error("the price of one unit would be {result}, which is not above zero")]
    NotPositive { result: Decimal },
    #[error("the price of one unit would be {result}, which is beyond reason")]
    Absurd { result: Decimal },
    #[error("the price of one unit, {exact}, rounds to zero in {currency}")]
    RoundsToZero { exact: Decimal, currency: super::super::Currency },
    #[error("the quantity {quantity} is not above zero")]
    NoQuantity { quantity: Decimal },
    #[error("the amounts of the quote become too large")]
    TotalTooLarge,
}

impl PricingError {
    /// Where in the formula it goes wrong, if it is one place.
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::DivisionByZero { position } | Self::TooLarge { position } => Some(*position),
            Self::Missing { .. }
            | Self::OutOfRange { .. }
            | Self::NotPositive { .. }
            | Self::Absurd { .. }
            | Self::RoundsToZero { .. }
            | Self::NoQuantity { .. }
            | Self::TotalTooLarge => None,
        }
    }
}

impl FormulaError {
    pub(super) fn at(position: Position, reason: impl Into<String>) -> Self {
        Self { position: Some(position), reason: reason.into(), values: Vec::new() }
    }

    pub(super) fn whole(reason: impl Into<String>) -> Self {
        Self { position: None, reason: reason.into(), values: Vec::new() }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

impl fmt::Display for FormulaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(position) = self.position {
            write!(f, "{position}: ")?;
        }
        f.write_str(&self.reason)?;
        for (n, (name, value)) in self.values.iter().enumerate() {
            write!(f, "{} {name} = {value}", if n == 0 { ", with" } else { "," })?;
        }
        Ok(())
    }
}
