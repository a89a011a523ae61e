//! From a unit price to the totals of a quote.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Currency, Formula, Inputs, PricingError};

/// A priced line. Amounts are rounded to the currency's minor unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinePrice {
    pub unit_price: Decimal,
    pub quantity: Decimal,
    pub total: Decimal,
    pub explanation: Explanation,
}

/// How a line's price came about, kept with the line for whoever asks later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    pub formula: String,
    pub inputs: Vec<ExplainedInput>,
    /// The formula with the values put in, showing only the branches taken.
    pub working: String,
    /// Before rounding.
    pub exact_unit_price: Decimal,
    pub unit_price: Decimal,
    pub quantity: Decimal,
    pub total: Decimal,
    pub currency: Currency,
}

/// A value that went into a formula, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedInput {
    pub name: String,
    /// In `unit`, as the formula took it.
    pub value: Decimal,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What the customer wrote, if it was converted ("120 cm"), or the material's name behind a rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<String>,
}

/// The sums of a quote, rounded to the currency's minor unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub subtotal: Decimal,
    /// A fraction: 0.19 is 19 %.
    pub tax_rate: Decimal,
    pub tax: Decimal,
    pub total: Decimal,
}

/// Prices one line: the formula's result is rounded to the minor unit first, then multiplied, so that the customer's own
/// multiplication of what the quote shows gives what the quote says. `quantity` is handed to the formula too, and must be
/// among its variables.
pub fn price_line(
    formula: &Formula,
    inputs: Vec<ExplainedInput>,
    quantity: Decimal,
    currency: Currency,
) -> Result<LinePrice, PricingError> {
    if quantity <= Decimal::ZERO {
        return Err(PricingError::NoQuantity { quantity });
    }
    let values = inputs.iter().fold(Inputs::new(), |values, input| values.with(&input.name, input.value));
    let priced = formula.unit_price(&values.with("quantity", quantity))?;
    let unit_price = currency.round(priced.unit_price);
    if unit_price.is_zero() {
        return Err(PricingError::RoundsToZero { exact: priced.unit_price, currency });
    }
    let total = unit_price.checked_mul(quantity).ok_or(PricingError::TotalTooLarge)?;
    let total = currency.round(total);
    let explanation = Explanation {
        formula: formula.text().to_owned(),
        inputs,
        working: priced.working,
        exact_unit_price: priced.unit_price,
        unit_price,
        quantity,
        total,
        currency,
    };
    Ok(LinePrice { unit_price, quantity, total, explanation })
}

impl Totals {
    /// Tax is calculated once, on the subtotal. `tax_rate` is a fraction: 0.19 is 19 %.
    pub fn of(
        line_totals: impl IntoIterator<Item = Decimal>,
        tax_rate: Decimal,
        currency: Currency,
    ) -> Result<Self, PricingError> {
        let too_large = PricingError::TotalTooLarge;
        let subtotal = line_totals
            .into_iter()
            .try_fold(Decimal::ZERO, Decimal::checked_add)
            .map(|subtotal| currency.round(subtotal))
            .ok_or(too_large.clone())?;
        let tax = currency.round(subtotal.checked_mul(tax_rate).ok_or(too_large.clone())?);
        let total = subtotal.checked_add(tax).ok_or(too_large)?;
        Ok(Self { subtotal, tax_rate, tax, total })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    use super::*;
    use crate::pricing::FormulaVariables;

    fn number(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn input(name: &str, value: &str) -> ExplainedInput {
        ExplainedInput { name: name.into(), value: number(value), unit: None, given: None }
    }

    fn window() -> Formula {
        let variables = FormulaVariables::new()
            .range("width", number("100"), number("3000"))
            .and_then(|v| v.range("height", number("100"), number("3000")))
            .and_then(|v| v.range("quantity", number("1"), number("500")))
            .and_then(|v| v.one_of("material_rate", vec![number("0.00012"), number("0.0002")]))
            .unwrap();
        let text = "(max(width * height, 250000) * material_rate + 18.5) * (if quantity >= 10 { 0.9 } else { 1 })";
        Formula::parse(text, &variables).unwrap()
    }

    #[test]
    fn a_line_is_priced_and_explained() {
        let inputs = vec![input("width", "1200"), input("height", "815"), input("material_rate", "0.00012")];
        let line = price_line(&window(), inputs, number("12"), Currency::EUR).unwrap();
        assert_eq!(line.unit_price.to_string(), "122.27"); // 122.274
        assert_eq!(line.total.to_string(), "1467.24");
        assert_eq!(line.explanation.working, "(max(1200 * 815, 250000) * 0.00012 + 18.5) * 0.9");
        assert_eq!(line.explanation.exact_unit_price, number("122.274"));
        let kept: Explanation = serde_json::from_str(&serde_json::to_string(&line.explanation).unwrap()).unwrap();
        assert_eq!(kept, line.explanation);
    }

    #[test]
    fn what_lies_outside_the_declared_ranges_has_no_price() {
        let priced = |width: &str, quantity: &str| {
            let inputs = vec![input("width", width), input("height", "815"), input("material_rate", "0.00012")];
            price_line(&window(), inputs, number(quantity), Currency::EUR)
        };
        assert!(priced("3000", "500").is_ok());
        assert!(matches!(priced("3001", "1"), Err(PricingError::OutOfRange { .. })));
        assert!(matches!(priced("1200", "501"), Err(PricingError::OutOfRange { .. })));
        assert!(matches!(priced("1200", "0"), Err(PricingError::NoQuantity { .. })));
        assert!(matches!(priced("1200", "-3"), Err(PricingError::NoQuantity { .. })));
    }

    #[test]
    fn a_price_below_the_smallest_coin_is_refused() {
        let variables = FormulaVariables::new().range("quantity", number("1"), number("9")).unwrap();
        let screw = Formula::parse("0.004", &variables).unwrap();
        let refused = price_line(&screw, vec![], number("1"), Currency::EUR).unwrap_err();
        assert_eq!(refused.to_string(), "the price of one unit, 0.004, rounds to zero in EUR");
    }

    #[test]
    fn totals_round_the_tax_once() {
        let lines = ["0.05", "0.05", "0.05"].map(number);
        let totals = Totals::of(lines, number("0.19"), Currency::EUR).unwrap();
        assert_eq!([totals.subtotal, totals.tax, totals.total].map(|a| a.to_string()), ["0.15", "0.03", "0.18"]);
    }

    proptest! {
        #[test]
        fn a_quote_adds_up(lines in prop::collection::vec((1_i64..100_000_000, 1_u32..10_000), 1..40), rate in 0_i64..300) {
            let rate = Decimal::new(rate, 3);
            let lines: Vec<_> = lines.iter().map(|(cents, quantity)| Decimal::new(*cents, 2) * Decimal::from(*quantity)).collect();
            let totals = Totals::of(lines.iter().copied(), rate, Currency::EUR).unwrap();
            prop_assert_eq!(totals.subtotal, lines.iter().sum::<Decimal>());
            prop_assert_eq!(totals.total, totals.subtotal + totals.tax);
            prop_assert!((totals.tax - totals.subtotal * rate).abs() <= number("0.005"));
            prop_assert_eq!(totals.total.scale(), 2);
        }

        #[test]
        fn the_customer_can_multiply_it_again(cents in 1_i64..1_000_000_000, more in 0_u32..1000, quantity in 1_u32..100_000, any in any::<bool>()) {
            let exact = Decimal::new(cents * 1000 + i64::from(more), 5);
            let quantity = if any { Decimal::from(quantity) } else { Decimal::new(quantity.into(), 1) };
            let variables = FormulaVariables::new().range("quantity", number("0.1"), number("100000")).unwrap();
            let formula = Formula::parse(&exact.to_string(), &variables).unwrap();
            if let Ok(line) = price_line(&formula, vec![], quantity, Currency::EUR) {
                prop_assert_eq!(line.total, Currency::EUR.round(line.unit_price * quantity));
                prop_assert!((line.unit_price - exact).abs() <= number("0.005"));
            }
        }
    }
}
