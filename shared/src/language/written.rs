use chrono::{Datelike, NaiveDate};
use rust_decimal::Decimal;

use super::Language;
use crate::pricing::Currency;

/// Narrow, and never at the end of a line.
const NARROW_SPACE: &str = "\u{202f}";
const NO_BREAK: &str = "\u{a0}";

/// Amounts and numbers as people write them who use this language and this currency. Digits are the Latin ones in every
/// language, as is customary in business letters; spaces inside never break a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    language: Language,
    currency: Currency,
}

impl Written {
    pub fn new(language: Language, currency: Currency) -> Self {
        Self { language, currency }
    }

    /// An amount with all digits of the currency's minor unit and its sign: `1.234,50 €`, `₹1,00,000.00`.
    pub fn amount(self, amount: Decimal) -> String {
        let amount = self.currency.round(amount);
        let minus = if amount.is_sign_negative() { "\u{2212}" } else { "" };
        let digits = self.grouped(&amount.abs());
        let sign = sign(self.currency);
        match self.language {
            Language::English | Language::Hindi | Language::Kannada | Language::Tamil | Language::Punjabi => {
                let space = if sign.chars().all(char::is_alphabetic) { NO_BREAK } else { "" };
                format!("{minus}{sign}{space}{digits}")
            }
            Language::Dutch => format!("{sign}{NO_BREAK}{minus}{digits}"),
            Language::German | Language::French | Language::Spanish | Language::Italian => {
                format!("{minus}{digits}{NO_BREAK}{sign}")
            }
        }
    }

    /// A number with the digits it needs: `1.234,5`.
    pub fn number(self, value: Decimal) -> String {
        let value = value.normalize();
        let minus = if value.is_sign_negative() && !value.is_zero() { "\u{2212}" } else { "" };
        format!("{minus}{}", self.grouped(&value.abs()))
    }

    /// A fraction as per cent: 0.19 is `19 %`.
    pub fn percent(self, fraction: Decimal) -> String {
        let digits = self.number(fraction * Decimal::ONE_HUNDRED);
        match self.language {
            Language::German | Language::Spanish => format!("{digits}{NO_BREAK}%"),
            Language::French => format!("{digits}{NARROW_SPACE}%"),
            Language::English
            | Language::Hindi
            | Language::Kannada
            | Language::Tamil
            | Language::Punjabi
            | Language::Italian
            | Language::Dutch => format!("{digits}%"),
        }
    }

    /// India groups by thousand, then by hundred: 12,34,567. So does English that speaks of rupees.
    fn in_lakhs(self) -> bool {
        self.language.is_indian() || (self.language == Language::English && self.currency.code() == "INR")
    }

    /// Of a value that is not negative.
    fn grouped(self, value: &Decimal) -> String {
        let text = value.to_string();
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let (group, point) = match self.language {
            Language::English | Language::Hindi | Language::Kannada | Language::Tamil | Language::Punjabi => (",", "."),
            Language::French => (NARROW_SPACE, ","),
            Language::German | Language::Spanish | Language::Italian | Language::Dutch => (".", ","),
        };
        let lakhs = self.in_lakhs();
        let mut grouped = String::new();
        for (n, digit) in whole.chars().enumerate() {
            let left = whole.len() - n;
            let boundary = if lakhs && left > 3 { (left - 3).is_multiple_of(2) } else { left.is_multiple_of(3) };
            if n > 0 && boundary {
                grouped.push_str(group);
            }
            grouped.push(digit);
        }
        let point = if fraction.is_empty() { "" } else { point };
        format!("{grouped}{point}{fraction}")
    }
}

/// A day in full, on one line: `21 November 2026`, `21 नवंबर 2026`.
pub fn date(date: NaiveDate, language: Language) -> String {
    let months = language.months();
    let month = months.get(date.month0() as usize).copied().unwrap_or_default();
    let (day, year) = (date.day(), date.year());
    match language {
        Language::German => format!("{day}. {month} {year}"),
        Language::French if day == 1 => format!("1er {month} {year}"),
        Language::Spanish => format!("{day} de {month} de {year}"),
        Language::English
        | Language::Hindi
        | Language::Kannada
        | Language::Tamil
        | Language::Punjabi
        | Language::French
        | Language::Italian
        | Language::Dutch => {
            format!("{day} {month} {year}")
        }
    }
    .replace(' ', NO_BREAK)
}

/// What stands for a currency; its code where a sign would be doubtful ("$" of which country?).
fn sign(currency: Currency) -> String {
    match currency.code() {
        "EUR" => "€",
        "USD" => "$",
        "GBP" => "£",
        "INR" => "₹",
        "JPY" => "¥",
        code => code,
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(language: Language, code: &str) -> Written {
        Written::new(language, code.parse().unwrap())
    }

    fn plain(text: &str) -> String {
        text.replace([' ', '\u{a0}', '\u{202f}'], "_")
    }

    #[test]
    fn amounts_in_each_language() {
        let amount = |value: &str, code, language| plain(&written(language, code).amount(value.parse().unwrap()));
        assert_eq!(amount("1234567.5", "EUR", Language::German), "1.234.567,50_€");
        assert_eq!(amount("1234567.5", "EUR", Language::English), "€1,234,567.50");
        assert_eq!(amount("1234567.5", "EUR", Language::French), "1_234_567,50_€");
        assert_eq!(amount("1234.5", "EUR", Language::Spanish), "1.234,50_€");
        assert_eq!(amount("999", "EUR", Language::Italian), "999,00_€");
        assert_eq!(amount("-1000", "EUR", Language::Dutch), "€_−1.000,00");
        assert_eq!(amount("-1000", "EUR", Language::English), "−€1,000.00");
        assert_eq!(amount("123", "INR", Language::English), "₹123.00");
        assert_eq!(amount("1234", "CHF", Language::English), "CHF_1,234.00");
        assert_eq!(amount("1234", "JPY", Language::English), "¥1,234");
        assert_eq!(amount("1.5", "KWD", Language::German), "1,500_KWD");
        for language in [Language::English, Language::Hindi, Language::Kannada, Language::Tamil, Language::Punjabi] {
            assert_eq!(amount("100000", "INR", language), "₹1,00,000.00");
            assert_eq!(amount("-1234567.5", "INR", language), "−₹12,34,567.50");
        }
        assert_eq!(amount("123456789", "USD", Language::Hindi), "$12,34,56,789.00");
        assert_eq!(amount("1234", "AED", Language::Tamil), "AED_1,234.00");
        assert_eq!(amount("100000", "INR", Language::German), "100.000,00_₹");
    }

    #[test]
    fn numbers_per_cents_and_dates() {
        let day = NaiveDate::from_ymd_opt(2026, 3, 1).unwrap();
        let number = |value: &str, language, code| written(language, code).number(value.parse().unwrap());
        let percent = |value: &str, language| plain(&written(language, "EUR").percent(value.parse().unwrap()));
        assert_eq!(number("1200.50", Language::German, "EUR"), "1.200,5");
        assert_eq!(number("120000", Language::English, "EUR"), "120,000");
        assert_eq!(number("120000", Language::English, "INR"), "1,20,000");
        assert_eq!(number("120000.25", Language::Kannada, "EUR"), "1,20,000.25");
        assert_eq!(percent("0.19", Language::German), "19_%");
        assert_eq!(percent("0.055", Language::French), "5,5_%");
        assert_eq!(percent("0.18", Language::Punjabi), "18%");
        for (language, text) in [
            (Language::English, "1_March_2026"),
            (Language::Hindi, "1_मार्च_2026"),
            (Language::Kannada, "1_ಮಾರ್ಚ್_2026"),
            (Language::Tamil, "1_மார்ச்_2026"),
            (Language::Punjabi, "1_ਮਾਰਚ_2026"),
            (Language::German, "1._März_2026"),
            (Language::French, "1er_mars_2026"),
            (Language::Spanish, "1_de_marzo_de_2026"),
        ] {
            assert_eq!(plain(&date(day, language)), text);
        }
    }
}
