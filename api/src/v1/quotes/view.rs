//! A quote as the API shows it.

use chrono::{DateTime, NaiveDate, Utc};
use postrider_shared::ids::{AccountId, MailId, ProductId, QuoteId, ThreadId};
use postrider_shared::quotes::{self, QuoteState};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::decimal::DecimalText;

/// A quote, without its lines.
#[derive(Debug, Serialize, ToSchema)]
pub struct Quote {
    /// Its id.
    id: QuoteId,
    /// The mailbox the request came into, and the reply goes out of.
    account_id: AccountId,
    /// The mail that asked for it.
    mail_id: MailId,
    /// The conversation it belongs to.
    thread_id: ThreadId,
    /// Its number, once it is rendered; with `-R2`, `-R3` for what was offered after the first.
    number: Option<String>,
    /// Counts from 1; raised by every approval and every revision.
    revision: i32,
    /// Where it is in its life.
    state: QuoteState,
    /// Why it needs review or failed.
    reason: Option<String>,
    /// ISO 639-1.
    language: String,
    /// ISO 4217.
    currency: String,
    /// The sum of its lines.
    subtotal: Option<DecimalText>,
    /// The tax on it.
    tax: Option<DecimalText>,
    /// What the customer pays.
    total: Option<DecimalText>,
    /// A fraction: `0.19` is 19 %.
    tax_rate: Option<DecimalText>,
    /// The last day it holds.
    valid_until: Option<NaiveDate>,
    /// When the customer needs the goods.
    deadline: Option<NaiveDate>,
    /// Who asked.
    customer_name: Option<String>,
    /// Where the reply goes.
    customer_address: String,
    /// Whether `GET /v1/quotes/{id}/pdf` has it.
    has_pdf: bool,
    /// When the request was read.
    created_at: DateTime<Utc>,
    /// When it last changed.
    updated_at: DateTime<Utc>,
}

impl From<quotes::Quote> for Quote {
    fn from(row: quotes::Quote) -> Self {
        Self {
            id: row.id,
            account_id: row.account_id,
            mail_id: row.mail_id,
            thread_id: row.thread_id,
            number: row.shown_number(),
            revision: row.revision,
            state: row.state,
            reason: row.reason,
            language: row.language,
            currency: row.currency,
            subtotal: row.subtotal.map(Into::into),
            tax: row.tax.map(Into::into),
            total: row.total.map(Into::into),
            tax_rate: row.tax_rate.map(Into::into),
            valid_until: row.valid_until,
            deadline: row.deadline,
            customer_name: row.customer_name,
            customer_address: row.customer_address,
            has_pdf: row.pdf_key.is_some(),
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// A quote with its lines.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuoteWithLines {
    #[serde(flatten)]
    quote: Quote,
    /// Its lines in their order.
    lines: Vec<QuoteLine>,
    /// What the language model made of the mail, as it came. Never trusted as it is.
    #[schema(value_type = Object)]
    extraction: Value,
}

impl QuoteWithLines {
    /// The quote and its lines as the API shows them.
    pub fn of(mut quote: quotes::Quote, lines: Vec<quotes::QuoteLine>) -> Self {
        let extraction = std::mem::take(&mut quote.extraction);
        Self { quote: quote.into(), lines: lines.into_iter().map(Into::into).collect(), extraction }
    }
}

/// One line of a quote.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuoteLine {
    /// Counts from 1.
    position: i32,
    /// The product; null if none was recognised.
    product_id: Option<ProductId>,
    /// The tenant's own number for it.
    sku: String,
    /// What stands on the quote.
    description: String,
    /// The measures the customer gave.
    dimensions: Vec<Measure>,
    /// The material's code.
    material: Option<String>,
    /// How many.
    quantity: DecimalText,
    /// The price of one.
    unit_price: Option<DecimalText>,
    /// The price of the line.
    total: Option<DecimalText>,
    /// How the price came about: the formula, its inputs and its working.
    #[schema(value_type = Option<Object>)]
    explanation: Option<Value>,
}

impl From<quotes::QuoteLine> for QuoteLine {
    fn from(row: quotes::QuoteLine) -> Self {
        Self {
            position: row.position,
            product_id: row.product_id,
            sku: row.sku,
            description: row.description,
            dimensions: row.dimensions.0.into_iter().map(Into::into).collect(),
            material: row.material,
            quantity: row.quantity.into(),
            unit_price: row.unit_price.map(Into::into),
            total: row.total.map(Into::into),
            explanation: row.explanation,
        }
    }
}

/// A measure as the customer gave it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// The dimension's name.
    pub name: String,
    /// How much.
    pub value: DecimalText,
    /// Of what, such as `mm`.
    pub unit: String,
}

impl From<quotes::DimensionValue> for Measure {
    fn from(row: quotes::DimensionValue) -> Self {
        Self { name: row.name, value: row.value.into(), unit: row.unit }
    }
}

impl From<Measure> for quotes::DimensionValue {
    fn from(said: Measure) -> Self {
        Self { name: said.name, value: said.value.0, unit: said.unit }
    }
}
