use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde_json::Value;

use super::DimensionValue;
use crate::{
    ids::{MailId, ProductId, QuoteId},
    mail::Reading,
    messages::PlannedMessage,
    pricing::Totals,
};

/// A quote as it was read from a mail.
#[derive(Debug, Clone, PartialEq)]
pub struct NewQuote {
    pub mail_id: MailId,
    /// ISO 639-1.
    pub language: String,
    /// ISO 4217.
    pub currency: String,
    pub deadline: Option<NaiveDate>,
    pub customer_name: Option<String>,
    pub customer_address: String,
    /// The language model's answer, as it came.
    pub extraction: Value,
    pub lines: Vec<NewLine>,
    /// What a person must look at; the quote is then not priced by itself.
    pub review: Option<String>,
    /// What the request is known by if it is made again; see [`Repeat`](super::Repeat).
    pub fingerprint: Option<String>,
    /// Noted with the mail.
    pub reading: Reading,
}

impl NewQuote {
    /// The id its row has or will have.
    pub fn id(&self) -> QuoteId {
        QuoteId::of(self.mail_id)
    }
}

/// A line before it has a price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLine {
    /// `None` if no product was recognised, which only a quote in review may have.
    pub product_id: Option<ProductId>,
    pub sku: String,
    pub description: String,
    pub dimensions: Vec<DimensionValue>,
    pub material: Option<String>,
    pub quantity: Decimal,
}

/// The price of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricedLine {
    /// Which line; counts from 1.
    pub position: i32,
    pub unit_price: Decimal,
    pub total: Decimal,
    /// How it came about.
    pub explanation: Value,
}

/// The prices of all lines, and the sums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricedQuote {
    pub lines: Vec<PricedLine>,
    pub totals: Totals,
    pub valid_until: NaiveDate,
}

/// A quote's PDF, and the message that is to carry it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedQuote {
    pub pdf_key: String,
    pub message: PlannedMessage,
}
