//! What a quote costs: price formulas in exact decimals, units of measure, rounding and totals.
//!
//! Nothing here does I/O and nothing rounds silently: a number is exact until [`Currency::round`] brings it to the
//! currency's minor unit, half away from zero, and every price keeps an [`Explanation`] of how it came about.
//!
//! Formulas are written in the expression part of Rhai and parsed by it. They are *evaluated* by our own small tree
//! ([`Formula`]), because Rhai calculates `1/2` in integers (0) and finds unknown functions and wrong types only in the
//! branch it happens to run, while a price formula must be refused as a whole when it is saved.

mod currency;
mod formula;
mod quote;
mod units;

pub use currency::{Currency, UnknownCurrency};
pub use formula::{Formula, FormulaError, FormulaVariables, Inputs, Position, Priced, PricingError};
pub use quote::{ExplainedInput, Explanation, LinePrice, Totals, price_line};
pub use units::{ConversionError, DimensionKind, Unit};
