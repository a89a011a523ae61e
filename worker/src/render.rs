//! Quotes as PDF.
//!
//! `templates/quote.typ` is the look, this module its only reader. What customers and tenants wrote reaches the template
//! as JSON *values*, which typst sets as text: nothing a mail says can become markup, read a file or load a package. The
//! same document gives the same bytes; the date is part of it.

mod fonts;
mod logo;
mod sample;
mod sheet;
mod text;
mod words;
mod world;

use chrono::{Datelike, NaiveDate};
use postrider_shared::language::Language;
use postrider_shared::pricing::{Currency, Totals};
use rust_decimal::Decimal;
use typst::foundations::Smart;
use typst_layout::PagedDocument;
use typst_pdf::PdfOptions;

pub use logo::Logo;
pub use sample::sample;

use world::QuoteWorld;

/// More lines than any person reads; keeps a hostile mail from costing minutes of layout.
pub const MAX_LINES: usize = 1_000;

/// Everything a quote shows. Amounts are rounded already; they are printed as they are.
#[derive(Debug, Clone)]
pub struct QuoteDocument {
    pub language: Language,
    pub currency: Currency,
    pub number: String,
    pub date: NaiveDate,
    pub valid_until: NaiveDate,
    pub sender: Sender,
    pub customer: Customer,
    /// Subject of the mail that asked for the quote.
    pub subject: Option<String>,
    pub lines: Vec<QuoteLine>,
    pub totals: Totals,
    /// The tenant's word for the tax: `MwSt.`, `VAT`.
    pub tax_label: String,
    pub notes: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Sender {
    pub name: String,
    /// Address, registration, bank: one line each.
    pub details: String,
    /// `#rrggbb`; anything else falls back to a quiet blue.
    pub brand_color: String,
    pub logo: Option<Logo>,
}

#[derive(Debug, Clone)]
pub struct Customer {
    pub name: Option<String>,
    /// E-mail address.
    pub address: String,
}

#[derive(Debug, Clone)]
pub struct QuoteLine {
    pub name: String,
    pub sku: Option<String>,
    pub description: Option<String>,
    pub dimensions: Vec<LineDimension>,
    pub material: Option<String>,
    pub quantity: Decimal,
    /// The tenant's word for one of it: "pcs", "Stück".
    pub unit_label: String,
    pub unit_price: Decimal,
    pub total: Decimal,
}

#[derive(Debug, Clone)]
pub struct LineDimension {
    pub name: String,
    pub value: Decimal,
    pub unit: String,
}

#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    #[error("a quote without lines cannot be rendered")]
    NoLines,
    #[error("the quote has {0} lines; at most {MAX_LINES} can be rendered")]
    TooManyLines(usize),
    /// Our template or its data is wrong: the same document fails every time.
    #[error("the template failed: {0}")]
    Template(String),
}

/// Lays the quote out and writes it as PDF. Takes CPU, some 30 ms for one page and a second for 1,000 lines: call it on
/// a blocking thread. Nothing in it waits, so the only bound it needs is that of its input.
pub fn pdf(quote: &QuoteDocument) -> Result<Vec<u8>, RenderError> {
    match quote.lines.len() {
        0 => return Err(RenderError::NoLines),
        lines if lines > MAX_LINES => return Err(RenderError::TooManyLines(lines)),
        _ => {}
    }
    let world = QuoteWorld::new(sheet::json(quote).into_bytes(), quote.sender.logo.clone());
    let mut result = export(&world, quote);
    if result.is_err() && quote.sender.logo.is_some() {
        // A logo that looks like one may still not decode: the tenant's name takes its place.
        let mut plain = quote.clone();
        plain.sender.logo = None;
        result = export(&QuoteWorld::new(sheet::json(&plain).into_bytes(), None), &plain);
    }
    // Typst memoises layout in the process for ever; quotes have little in common, so two generations are plenty.
    typst::comemo::evict(2);
    result
}

fn export(world: &QuoteWorld, quote: &QuoteDocument) -> Result<Vec<u8>, RenderError> {
    let document = typst::compile::<PagedDocument>(world).output.map_err(|errors| failed(&errors))?;
    let options = PdfOptions {
        ident: Smart::Custom(format!("{}/{}", quote.sender.name, quote.number)),
        creator: Smart::Custom(Some("Postrider".into())),
        timestamp: timestamp(quote.date),
        ..PdfOptions::default()
    };
    typst_pdf::pdf(&document, &options).map_err(|errors| failed(&errors))
}

fn timestamp(date: NaiveDate) -> Option<typst_pdf::Timestamp> {
    let (month, day) = (u8::try_from(date.month()).ok()?, u8::try_from(date.day()).ok()?);
    typst::foundations::Datetime::from_ymd_hms(date.year(), month, day, 0, 0, 0).map(typst_pdf::Timestamp::new_utc)
}

fn failed(errors: &[typst::diag::SourceDiagnostic]) -> RenderError {
    let messages: Vec<_> = errors.iter().map(|error| error.message.as_str()).collect();
    RenderError::Template(messages.join("; "))
}

#[cfg(test)]
mod tests;
