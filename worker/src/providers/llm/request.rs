//! What the model is shown: the tenant's products, earlier mail and the quote of the thread, the mail.

use chrono::{DateTime, Utc};
use serde::Serialize;

/// The user's message, one JSON object.
#[derive(Debug, Clone, Serialize)]
pub struct Question<'a> {
    pub products: Vec<KnownProduct<'a>>,
    pub earlier: Vec<Earlier<'a>>,
    /// What the thread's quote offers at present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote: Option<OfferedQuote<'a>>,
    pub mail: MailText<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<KnownAttachment<'a>>,
    /// Beside the JSON, as parts of their own.
    #[serde(skip)]
    pub pictures: Vec<ShownPicture<'a>>,
}

#[derive(Debug, Clone, Serialize)]
pub struct KnownProduct<'a> {
    pub sku: &'a str,
    pub name: &'a str,
    pub aliases: &'a [String],
    pub dimensions: Vec<KnownDimension<'a>>,
    pub materials: Vec<KnownMaterial<'a>>,
    pub unit_label: &'a str,
}

#[derive(Debug, Clone, Serialize)]
pub struct KnownDimension<'a> {
    pub name: &'a str,
    pub unit: &'a str,
    pub aliases: &'a [String],
}

#[derive(Debug, Clone, Serialize)]
pub struct KnownMaterial<'a> {
    pub code: &'a str,
    pub name: &'a str,
    pub aliases: &'a [String],
}

/// The quote that a mail of its thread may change. It has no prices: they are none of the model's business.
#[derive(Debug, Clone, Serialize)]
pub struct OfferedQuote<'a> {
    /// `sent`, `accepted` and so on.
    pub state: &'a str,
    pub lines: Vec<OfferedLine<'a>>,
}

#[derive(Debug, Clone, Serialize)]
pub struct OfferedLine<'a> {
    /// Counts from 1; the answer names lines by it.
    pub line: i32,
    pub sku: &'a str,
    pub name: &'a str,
    /// A decimal with a point.
    pub quantity: String,
    pub material: Option<&'a str>,
    pub dimensions: Vec<OfferedDimension<'a>>,
}

#[derive(Debug, Clone, Serialize)]
pub struct OfferedDimension<'a> {
    pub name: &'a str,
    /// A decimal with a point.
    pub value: String,
    pub unit: &'a str,
}

/// A file that came with the mail.
#[derive(Debug, Clone, Serialize)]
pub struct KnownAttachment<'a> {
    pub name: &'a str,
    /// What it is, if that is known.
    pub kind: Option<&'a str>,
    /// What is in it, a table's rows as lines with ` | ` between the cells; bounded by the caller.
    pub text: Option<&'a str>,
    /// Why there is no text.
    pub not_read: Option<&'a str>,
}

/// A picture that came with the mail, bounded by the caller.
#[derive(Debug, Clone)]
pub struct ShownPicture<'a> {
    pub media_type: &'a str,
    pub content: &'a [u8],
}

/// An earlier mail of the same thread or sender, shortened.
#[derive(Debug, Clone, Serialize)]
pub struct Earlier<'a> {
    /// By which the answer names it.
    pub id: String,
    pub from: &'a str,
    /// It is of another thread.
    pub elsewhere: bool,
    pub subject: &'a str,
    pub sent_at: Option<DateTime<Utc>>,
    pub summary: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct MailText<'a> {
    pub from: &'a str,
    pub subject: &'a str,
    pub sent_at: Option<DateTime<Utc>>,
    /// The new text only, without what it quotes of earlier mail; bounded by the caller.
    pub text: &'a str,
    pub is_reply: bool,
}
