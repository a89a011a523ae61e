//! From a quote to what the template prints: texts cleaned and shortened, numbers written, colours readable.

use postrider_shared::language::{Written, date};
use serde::Serialize;

use super::text::{clean, clean_lines, name_of_item, unbroken};
use super::words::{self, Words, words};
use super::{QuoteDocument, QuoteLine};

/// Longest text of one field, in characters; the rest is cut with an ellipsis.
const MAX_TEXT: usize = 1_500;
const MAX_NAME: usize = 200;
const FALLBACK_COLOR: [u8; 3] = [0x1f, 0x4e, 0x79];

#[derive(Serialize)]
struct Sheet {
    language: &'static str,
    /// Letters of India's scripts hang together: set apart or pushed together they look broken.
    loose_letters: bool,
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
    terms: String,
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
    page: [&'static str; 2],
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
    let words = words(language);
    let written = Written::new(language, quote.currency);
    let last_day = date(quote.valid_until, language);
    let number = clean(&quote.number, MAX_NAME);
    let name = quote.customer.name.as_deref().map(|name| clean(name, MAX_NAME)).filter(|name| !name.is_empty());
    let address = clean(&quote.customer.address, MAX_NAME);
    let sheet = Sheet {
        language: language.tag(),
        loose_letters: !language.is_indian(),
        title: format!("{} {number}", words.quote),
        number,
        date: date(quote.date, language),
        valid_until: words.until.replace("{date}", &last_day),
        sender: clean(&quote.sender.name, MAX_NAME),
        sender_details: quote.sender.details.lines().map(|line| clean(line, MAX_NAME)).take(12).collect(),
        logo: quote.sender.logo.as_ref().map(|logo| if logo.is_png() { "png" } else { "svg" }),
        colors: Colors::of(&quote.sender.brand_color),
        customer_address: name.is_some().then(|| address.clone()),
        customer: name.unwrap_or(address),
        subject: quote.subject.as_deref().map(|text| clean(text, MAX_NAME)).filter(|text| !text.is_empty()),
        lines: quote.lines.iter().map(|line| SheetLine::of(line, quote)).collect(),
        subtotal: written.amount(quote.totals.subtotal),
        tax_label: format!("{} {}", clean(&quote.tax_label, 40), written.percent(quote.totals.tax_rate)),
        tax: written.amount(quote.totals.tax),
        total: written.amount(quote.totals.total),
        notes: quote.notes.as_deref().map(|text| clean_lines(text, MAX_TEXT)).filter(|text| !text.is_empty()),
        terms: words.terms.replace("{currency}", quote.currency.code()).replace("{date}", &last_day),
        labels: SheetLabels::of(&words),
    };
    serde_json::to_string(&sheet).unwrap_or_default()
}

impl SheetLine {
    fn of(line: &QuoteLine, quote: &QuoteDocument) -> Self {
        let language = quote.language;
        let written = Written::new(language, quote.currency);
        let sku = line.sku.iter().map(|sku| clean(sku, 60));
        let dimensions = line.dimensions.iter().map(|dimension| {
            let name =
                words::dimension(language, &dimension.name).map_or_else(|| spoken(&dimension.name), str::to_owned);
            format!("{name} {}\u{a0}{}", written.number(dimension.value), clean(&dimension.unit, 20))
        });
        let material =
            line.material.iter().map(|material| format!("{} {}", words(language).material, clean(material, 80)));
        Self {
            name: name_of_item(&line.name, MAX_NAME),
            details: sku.chain(dimensions).chain(material).map(|detail| unbroken(&detail)).collect(),
            description: line.description.as_deref().map(|text| clean_lines(text, MAX_TEXT)).filter(|t| !t.is_empty()),
            quantity: written.number(line.quantity),
            unit: clean(&line.unit_label, 20),
            unit_price: written.amount(line.unit_price),
            total: written.amount(line.total),
        }
    }
}

impl SheetLabels {
    fn of(words: &Words) -> Self {
        Self {
            quote: words.quote,
            number: words.number,
            date: words.date,
            valid_until: words.valid_until,
            prepared_for: words.prepared_for,
            your_request: words.your_request,
            item: words.item,
            quantity: words.quantity,
            unit_price: words.unit_price,
            amount: words.amount,
            subtotal: words.subtotal,
            total: words.total,
            notes: words.notes,
            page: words.page,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_dimensions_are_spoken() {
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
