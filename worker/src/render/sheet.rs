//! From a quote to what the template prints: texts cleaned and shortened, numbers written, colours readable.

use serde::Serialize;

use super::{Language, QuoteDocument, QuoteLine, numbers};

/// Longest text of one field, in characters; the rest is cut with an ellipsis.
const MAX_TEXT: usize = 1_500;
const MAX_NAME: usize = 200;
/// A run without a space longer than this gets places where it may break, or it would leave the page.
const MAX_RUN: usize = 36;
/// The same in the column of items, which large amounts make narrow.
const MAX_NAME_RUN: usize = 18;
const FALLBACK_COLOR: [u8; 3] = [0x1f, 0x4e, 0x79];

#[derive(Serialize)]
struct Sheet {
    language: &'static str,
    labels: SheetLabels,
    title: String,
    number: String,
    date: String,
    valid_until: String,
    sender: String,
    sender_details: Vec<String>,
    logo: Option<&'static str>,
    colors: Colors,
    customer: String,
    customer_address: Option<String>,
    subject: Option<String>,
    lines: Vec<SheetLine>,
    subtotal: String,
    tax_label: String,
    tax: String,
    total: String,
    notes: Option<String>,
}

#[derive(Serialize)]
struct SheetLabels {
    quote: &'static str,
    number: &'static str,
    date: &'static str,
    valid_until: &'static str,
    prepared_for: &'static str,
    your_request: &'static str,
    item: &'static str,
    quantity: &'static str,
    unit_price: &'static str,
    amount: &'static str,
    subtotal: &'static str,
    total: &'static str,
    notes: &'static str,
    page: &'static str,
    of: &'static str,
}

/// `#rrggbb` each.
#[derive(Serialize)]
struct Colors {
    brand: String,
    /// Readable on `brand`.
    on_brand: String,
    /// The brand if it is readable on white, else a dark shade of it.
    ink: String,
}

#[derive(Serialize)]
struct SheetLine {
    name: String,
    /// SKU, dimensions and material.
    details: Vec<String>,
    description: Option<String>,
    quantity: String,
    unit: String,
    unit_price: String,
    total: String,
}

pub(super) fn json(quote: &QuoteDocument) -> String {
    let language = quote.language;
    let labels = language.labels();
    let amount = |value| numbers::amount(value, quote.currency, language);
    let number = clean(&quote.number, MAX_NAME);
    let name = quote.customer.name.as_deref().map(|name| clean(name, MAX_NAME)).filter(|name| !name.is_empty());
    let address = clean(&quote.customer.address, MAX_NAME);
    let sheet = Sheet {
        language: language.tag(),
        title: format!("{} {number}", labels.quote),
        number,
        date: numbers::date(quote.date, language),
        valid_until: numbers::date(quote.valid_until, language),
        sender: clean(&quote.sender.name, MAX_NAME),
        sender_details: quote.sender.details.lines().map(|line| clean(line, MAX_NAME)).take(12).collect(),
        logo: quote.sender.logo.as_ref().map(|logo| if logo.is_png() { "png" } else { "svg" }),
        colors: Colors::of(&quote.sender.brand_color),
        customer_address: name.is_some().then(|| address.clone()),
        customer: name.unwrap_or(address),
        subject: quote.subject.as_deref().map(|text| clean(text, MAX_NAME)).filter(|text| !text.is_empty()),
        lines: quote.lines.iter().map(|line| SheetLine::of(line, quote)).collect(),
        subtotal: amount(quote.totals.subtotal),
        tax_label: format!("{} {}", clean(&quote.tax_label, 40), numbers::percent(quote.totals.tax_rate, language)),
        tax: amount(quote.totals.tax),
        total: amount(quote.totals.total),
        notes: quote.notes.as_deref().map(|text| clean_lines(text, MAX_TEXT)).filter(|text| !text.is_empty()),
        labels: SheetLabels::of(language),
    };
    serde_json::to_string(&sheet).unwrap_or_default()
}

impl SheetLine {
    fn of(line: &QuoteLine, quote: &QuoteDocument) -> Self {
        let language = quote.language;
        let sku = line.sku.iter().map(|sku| clean(sku, 60));
        let dimensions = line.dimensions.iter().map(|dimension| {
            let name = language.dimension(&dimension.name).map_or_else(|| spoken(&dimension.name), str::to_owned);
            format!("{name} {}\u{a0}{}", numbers::number(dimension.value, language), clean(&dimension.unit, 20))
        });
        let material =
            line.material.iter().map(|material| format!("{} {}", language.labels().material, clean(material, 80)));
        Self {
            name: breakable(&plain(&line.name, MAX_NAME), MAX_NAME_RUN),
            details: sku.chain(dimensions).chain(material).map(|detail| unbroken(&detail)).collect(),
            description: line.description.as_deref().map(|text| clean_lines(text, MAX_TEXT)).filter(|t| !t.is_empty()),
            quantity: numbers::number(line.quantity, language),
            unit: clean(&line.unit_label, 20),
            unit_price: numbers::amount(line.unit_price, quote.currency, language),
            total: numbers::amount(line.total, quote.currency, language),
        }
    }
}

impl SheetLabels {
    fn of(language: Language) -> Self {
        let labels = language.labels();
        Self {
            quote: labels.quote,
            number: labels.number,
            date: labels.date,
            valid_until: labels.valid_until,
            prepared_for: labels.prepared_for,
            your_request: labels.your_request,
            item: labels.item,
            quantity: labels.quantity,
            unit_price: labels.unit_price,
            amount: labels.amount,
            subtotal: labels.subtotal,
            total: labels.total,
            notes: labels.notes,
            page: labels.page,
            of: labels.of,
        }
    }
}

impl Colors {
    fn of(brand: &str) -> Self {
        let brand = parse_color(brand).unwrap_or(FALLBACK_COLOR);
        let on_brand = if contrast(brand, [255; 3]) >= 3.0 { [255; 3] } else { [0x1a; 3] };
        let mut ink = brand;
        while contrast(ink, [255; 3]) < 4.5 {
            ink = ink.map(|part| part - part / 10 - 1.min(part));
        }
        Self { brand: hex(brand), on_brand: hex(on_brand), ink: hex(ink) }
    }
}

fn parse_color(text: &str) -> Option<[u8; 3]> {
    let digits = text.trim().strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii())?;
    let part = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    Some([part(0)?, part(2)?, part(4)?])
}

fn hex([red, green, blue]: [u8; 3]) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// Contrast ratio of WCAG 2.1, from 1 to 21.
fn contrast(a: [u8; 3], b: [u8; 3]) -> f64 {
    let luminance = |color: [u8; 3]| {
        let [red, green, blue] = color.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.03928 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    };
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// `leg_length` → `Leg length`.
fn spoken(name: &str) -> String {
    let words = clean(name, 60).replace('_', " ");
    let mut characters = words.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

/// One line of text from outside: spaces folded, controls and direction overrides removed, bounded, breakable.
fn clean(text: &str, max: usize) -> String {
    breakable(&plain(text, max), MAX_RUN)
}

fn plain(text: &str, max: usize) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    shortened(&words.join(" ").chars().filter(|c| !is_trick(*c)).collect::<String>(), max)
}

fn clean_lines(text: &str, max: usize) -> String {
    let mut lines: Vec<String> = text.lines().map(|line| clean(line, max)).take(60).collect();
    lines.dedup_by(|a, b| a.is_empty() && b.is_empty());
    shortened(lines.join("\n").trim(), max)
}

/// Control characters, and those that make text read other than it is stored.
fn is_trick(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn shortened(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(max - 1).collect();
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

/// A short detail stays on one line.
fn unbroken(text: &str) -> String {
    if text.chars().count() <= MAX_RUN { text.replace(' ', "\u{a0}") } else { text.to_owned() }
}

/// Puts invisible breaks into words that would leave their place: after punctuation, else after every `run` characters.
fn breakable(text: &str, run: usize) -> String {
    let words = text.split(' ');
    let words = words.map(|word| if word.chars().count() > run { broken(word, run) } else { word.to_owned() });
    words.collect::<Vec<_>>().join(" ")
}

fn broken(word: &str, at: usize) -> String {
    let mut result = String::with_capacity(word.len() + 16);
    let mut run = 0;
    for character in word.chars() {
        if run == at {
            result.push('\u{200b}');
            run = 0;
        }
        result.push(character);
        run += 1;
        if matches!(character, '-' | '_' | '.' | '/' | '@' | '&' | '?') {
            result.push('\u{200b}');
            run = 0;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_is_tamed() {
        assert_eq!(clean("  a\r\n\tb\u{0}\u{202e}c ", 50), "a bc");
        assert_eq!(clean("abcdef", 4), "abc…");
        assert_eq!(breakable(&"x".repeat(100), 36).matches('\u{200b}').count(), 2);
        assert_eq!(clean_lines("one\n\n\n\ntwo\n", 50), "one\n\ntwo");
        assert_eq!(spoken("leg_length"), "Leg length");
    }

    #[test]
    fn text_stays_readable_on_any_brand_color() {
        for brand in ["#ffffff", "#ffff00", "#f5c400", "#000000", "#1a7f5a", "#ff0000", "red", "", "#12345", "#ä1234"]
        {
            let colors = Colors::of(brand);
            let read = |text: &str| parse_color(text).unwrap();
            assert!(contrast(read(&colors.ink), [255; 3]) >= 4.5, "{brand}");
            assert!(contrast(read(&colors.on_brand), read(&colors.brand)) >= 3.0, "{brand}");
        }
    }
}
