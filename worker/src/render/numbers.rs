//! Amounts, quantities and dates as people of a language write them.

use chrono::{Datelike, NaiveDate};
use postrider_shared::pricing::Currency;
use rust_decimal::Decimal;

use super::Language;

/// Narrow, and never at the end of a line.
const NARROW_SPACE: &str = "\u{202f}";
const NO_BREAK: &str = "\u{a0}";

/// An amount with all digits of the currency's minor unit and its sign: `1.234,50 €`, `€1,234.50`.
pub(super) fn amount(amount: Decimal, currency: Currency, language: Language) -> String {
    let digits = grouped(&currency.round(amount), language, currency.code() == "INR");
    let sign = sign(currency);
    match language {
        Language::English if sign.chars().all(char::is_alphabetic) => {
            format!("{sign}{NO_BREAK}{digits}")
        }
        Language::English => format!("{sign}{digits}"),
        Language::Dutch => format!("{sign}{NO_BREAK}{digits}"),
        Language::German | Language::French | Language::Spanish | Language::Italian => {
            format!("{digits}{NO_BREAK}{sign}")
        }
    }
}

/// A number with the digits it needs: `1.234,5`.
pub(super) fn number(value: Decimal, language: Language) -> String {
    grouped(&value.normalize(), language, false)
}

/// A fraction as per cent: 0.19 is `19 %`.
pub(super) fn percent(fraction: Decimal, language: Language) -> String {
    let digits = number(fraction * Decimal::ONE_HUNDRED, language);
    match language {
        Language::English | Language::Italian | Language::Dutch => format!("{digits}%"),
        Language::German | Language::Spanish => format!("{digits}{NO_BREAK}%"),
        Language::French => format!("{digits}{NARROW_SPACE}%"),
    }
}

pub(super) fn date(date: NaiveDate, language: Language) -> String {
    let months = language.months();
    let month = months.get(date.month0() as usize).copied().unwrap_or_default();
    let (day, year) = (date.day(), date.year());
    match language {
        Language::German => format!("{day}. {month} {year}"),
        Language::French if day == 1 => format!("1er {month} {year}"),
        Language::Spanish => format!("{day} de {month} de {year}"),
        Language::English | Language::French | Language::Italian | Language::Dutch => {
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

fn grouped(value: &Decimal, language: Language, lakhs: bool) -> String {
    let text = value.abs().to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let (group, point) = match language {
        Language::English => (",", "."),
        Language::French => (NARROW_SPACE, ","),
        Language::German | Language::Spanish | Language::Italian | Language::Dutch => (".", ","),
    };
    let mut grouped = String::new();
    for (n, digit) in whole.chars().enumerate() {
        let left = whole.len() - n;
        // India groups by thousand, then by hundred: 12,34,567.
        let boundary = if lakhs && language == Language::English && left > 3 {
            (left - 3).is_multiple_of(2)
        } else {
            left.is_multiple_of(3)
        };
        if n > 0 && boundary {
            grouped.push_str(group);
        }
        grouped.push(digit);
    }
    let minus = if value.is_sign_negative() && !value.is_zero() { "\u{2212}" } else { "" };
    let point = if fraction.is_empty() { "" } else { point };
    format!("{minus}{grouped}{point}{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &str, code: &str, language: Language) -> String {
        amount(value.parse().unwrap(), code.parse().unwrap(), language).replace([' ', '\u{a0}', '\u{202f}'], "_")
    }

    #[test]
    fn amounts_in_each_language() {
        assert_eq!(written("1234567.5", "EUR", Language::German), "1.234.567,50_€");
        assert_eq!(written("1234567.5", "EUR", Language::English), "€1,234,567.50");
        assert_eq!(written("1234567.5", "EUR", Language::French), "1_234_567,50_€");
        assert_eq!(written("1234.5", "EUR", Language::Spanish), "1.234,50_€");
        assert_eq!(written("999", "EUR", Language::Italian), "999,00_€");
        assert_eq!(written("-1000", "EUR", Language::Dutch), "€_−1.000,00");
        assert_eq!(written("1234567.5", "INR", Language::English), "₹12,34,567.50");
        assert_eq!(written("123", "INR", Language::English), "₹123.00");
        assert_eq!(written("1234", "CHF", Language::English), "CHF_1,234.00");
        assert_eq!(written("1234", "JPY", Language::English), "¥1,234");
        assert_eq!(written("1.5", "KWD", Language::German), "1,500_KWD");
    }

    #[test]
    fn numbers_per_cents_and_dates() {
        let day = NaiveDate::from_ymd_opt(2026, 3, 1).unwrap();
        let plain = |text: String| text.replace(['\u{a0}', '\u{202f}'], " ");
        assert_eq!(number("1200.50".parse().unwrap(), Language::German), "1.200,5");
        assert_eq!(plain(percent("0.19".parse().unwrap(), Language::German)), "19 %");
        assert_eq!(plain(percent("0.055".parse().unwrap(), Language::French)), "5,5 %");
        assert_eq!(percent("0.2".parse().unwrap(), Language::English), "20%");
        assert_eq!(plain(date(day, Language::German)), "1. März 2026");
        assert_eq!(plain(date(day, Language::French)), "1er mars 2026");
        assert_eq!(plain(date(day, Language::Spanish)), "1 de marzo de 2026");
    }
}
