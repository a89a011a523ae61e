//! What the product asks, and what it is answered: the JSON inside the chat messages.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::pictures;

/// The user message: the tenant's products, earlier mails of the thread, and the mail to read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QuoteRequest {
    pub products: Vec<Product>,
    #[serde(default)]
    pub earlier: Vec<Earlier>,
    #[serde(default)]
    pub quote: Option<OfferedQuote>,
    pub mail: Mail,
    #[serde(default)]
    pub attachments: Vec<Attachment>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Product {
    pub sku: String,
    pub name: String,
    #[serde(default)]
    pub aliases: Vec<String>,
    #[serde(default)]
    pub dimensions: Vec<Dimension>,
    #[serde(default)]
    pub materials: Vec<Material>,
    #[serde(default)]
    pub unit_label: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Dimension {
    pub name: String,
    pub unit: String,
    #[serde(default)]
    pub aliases: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Material {
    pub code: String,
    pub name: String,
    #[serde(default)]
    pub aliases: Vec<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Earlier {
    pub id: Option<String>,
    /// It is of another thread.
    pub elsewhere: bool,
    pub subject: Option<String>,
    pub sent_at: Option<String>,
    pub summary: Option<String>,
}

/// What the thread's quote offers at present.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OfferedQuote {
    pub state: String,
    pub lines: Vec<OfferedLine>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OfferedLine {
    pub line: i32,
    pub sku: String,
    pub quantity: String,
    pub material: Option<String>,
    pub dimensions: Vec<Measure>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Mail {
    #[serde(deserialize_with = "text_or_null")]
    pub from: String,
    #[serde(deserialize_with = "text_or_null")]
    pub subject: String,
    pub sent_at: Option<String>,
    #[serde(deserialize_with = "text_or_null")]
    pub text: String,
    pub is_reply: bool,
}

fn text_or_null<'de, D: serde::Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(input)?.unwrap_or_default())
}

/// A file that came with the mail.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Attachment {
    pub name: String,
    pub kind: Option<String>,
    pub text: Option<String>,
    pub not_read: Option<String>,
}

/// The answer; every field is present, as a strict schema wants it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    pub intent: Intent,
    /// ISO 639-1.
    pub language: String,
    pub confidence: f64,
    pub customer_name: Option<String>,
    /// `YYYY-MM-DD`.
    pub deadline: Option<String>,
    pub items: Vec<Item>,
    pub dropped: Vec<Dropped>,
    /// The words that accept or decline, verbatim.
    pub decision: Option<String>,
    pub condition: Option<String>,
    /// The `id` of the earlier mail that is repeated.
    pub duplicate_of: Option<String>,
    pub problem: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    NewRequest,
    Amends,
    Accepts,
    Declines,
    Question,
    FollowUp,
    Duplicate,
    NotARequest,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// The line of the quote that this is.
    pub line: Option<i32>,
    /// Words of the mail, verbatim.
    pub excerpt: String,
    pub sku: Option<String>,
    /// A decimal with a point.
    pub quantity: Option<String>,
    /// A material's code.
    pub material: Option<String>,
    pub dimensions: Vec<Measure>,
    pub problem: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measure {
    pub name: String,
    pub value: String,
    pub unit: String,
}

/// A line of the quote that is not wanted any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    pub line: i32,
    /// Words of the mail, verbatim.
    pub excerpt: String,
}

/// A chat completion call, as far as it matters here.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) model: String,
    pub(super) request: QuoteRequest,
    /// The user message as it came.
    pub(super) user: Value,
    pub(super) characters: usize,
    /// Pictures that came with it.
    pub(super) pictures: usize,
}

impl Call {
    /// Errors are for the caller to read, as the real service's are.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let body: Value =
            serde_json::from_slice(body).map_err(|error| format!("We could not parse the JSON body: {error}"))?;
        let model = body["model"].as_str().ok_or("you must provide a model parameter")?.to_owned();
        if body["stream"].as_bool() == Some(true) {
            return Err("streaming is not offered here".into());
        }
        let messages = body["messages"].as_array().ok_or("'messages' is a required property")?;
        let user = messages.iter().rev().find(|message| message["role"] == "user").ok_or("there is no user message")?;
        let message_content = &user["content"];
        let text = content(message_content).ok_or("the user message has no text")?;
        let user: Value =
            serde_json::from_str(&text).map_err(|error| format!("the user message is no quote request: {error}"))?;
        let mut request = QuoteRequest::deserialize(&user)
            .map_err(|error| format!("the user message is no quote request: {error}"))?;
        let pictures = pictures::of(message_content)?;
        // To see is to read what stands in it, as if it were another file.
        request.attachments.extend(pictures.iter().map(|text| Attachment {
            name: "picture".to_owned(),
            kind: Some("picture".to_owned()),
            text: text.map(str::to_owned),
            not_read: None,
        }));
        Ok(Self { model, request, user, characters: text.len(), pictures: pictures.len() })
    }
}

/// A string, or the text parts of a list.
fn content(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => Some(parts.iter().filter_map(|part| part["text"].as_str()).collect()),
        _ => None,
    }
}
