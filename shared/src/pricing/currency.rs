//! A currency and its rounding rule.

use std::{fmt, str::FromStr};

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

/// An ISO 4217 currency: three capital letters and the number of digits of its minor unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a currency: write its three-letter ISO 4217 code, such as EUR")]
pub struct UnknownCurrency(String);

/// Currencies in use whose minor unit is not 1/100. ISO 4217, list one, of 2024-06-25.
const WITHOUT_MINOR_UNIT: [&str; 16] =
    ["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF"];
const THREE_DIGITS: [&str; 7] = ["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"];
/// Codes of funds, metals and tests: written like a currency, but nobody can pay in them.
const NO_MONEY: [&str; 11] = ["XAG", "XAU", "XBA", "XBB", "XBC", "XBD", "XPD", "XPT", "XTS", "XXX", "XDR"];

impl Currency {
    pub const EUR: Self = Self(*b"EUR");

    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Digits after the point of an amount: 2 for EUR, 0 for JPY, 3 for KWD.
    pub fn minor_digits(&self) -> u32 {
        let code = self.code();
        if code == "XPF" || WITHOUT_MINOR_UNIT.contains(&code) {
            0
        } else if THREE_DIGITS.contains(&code) {
            3
        } else {
            2
        }
    }

    /// Rounds to the minor unit, half away from zero, and writes all its digits: 2.5 EUR becomes 2.50.
    pub fn round(&self, amount: Decimal) -> Decimal {
        let digits = self.minor_digits();
        let mut rounded = amount.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero);
        rounded.rescale(digits);
        if rounded.is_zero() {
            rounded.set_sign_positive(true);
        }
        rounded
    }
}

impl FromStr for Currency {
    type Err = UnknownCurrency;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match *text.as_bytes() {
            [a, b, c] if [a, b, c].iter().all(u8::is_ascii_uppercase) && !NO_MONEY.contains(&text) => {
                Ok(Self([a, b, c]))
            }
            _ => Err(UnknownCurrency(text.chars().take(16).collect())),
        }
    }
}

impl TryFrom<String> for Currency {
    type Error = UnknownCurrency;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.code().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(code: &str, amount: &str) -> String {
        let currency: Currency = code.parse().unwrap();
        currency.round(amount.parse().unwrap()).to_string()
    }

    #[test]
    fn rounds_half_away_from_zero_to_the_minor_unit() {
        assert_eq!(round("EUR", "2.345"), "2.35");
        assert_eq!(round("EUR", "-2.345"), "-2.35");
        assert_eq!(round("EUR", "2.3449999999999999999999999999"), "2.34");
        assert_eq!(round("EUR", "7"), "7.00");
        assert_eq!(round("JPY", "99.5"), "100");
        assert_eq!(round("KWD", "1.0005"), "1.001");
        assert_eq!(round("EUR", "-0.001"), "0.00");
    }

    #[test]
    fn only_three_capital_letters_are_a_currency() {
        for wrong in ["", "eur", "EURO", "€", "E1R", "XAU"] {
            assert!(wrong.parse::<Currency>().is_err(), "{wrong}");
        }
    }
}
