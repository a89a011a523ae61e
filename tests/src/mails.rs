//! The committed mails of `tests/mails` and what each must lead to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use crate::binaries::repository;

/// One `.eml` file.
#[derive(Debug, Clone)]
pub struct Mail {
    /// The file's name without `.eml`.
    pub name: String,
    pub raw: Vec<u8>,
}

/// What a mail of the thirty must lead to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    pub intent: String,
    pub language: String,
    pub reply_to: String,
    pub deadline: Option<String>,
    pub outcome: Outcome,
    pub reason_contains: Option<String>,
    #[serde(default)]
    pub items: Vec<Item>,
    pub currency: Option<String>,
    pub subtotal: Option<String>,
    pub tax: Option<String>,
    pub total: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Quoted,
    NeedsReview,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    pub sku: String,
    pub quantity: String,
    pub dimensions: Vec<Dimension>,
    pub material: Option<String>,
    pub unit_price: String,
    pub total: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dimension {
    pub name: String,
    pub value: String,
    pub unit: String,
}

fn folder() -> PathBuf {
    repository().join("tests/mails")
}

/// One file, such as `hostile/empty.eml`.
pub fn mail(path: &str) -> Mail {
    let file = folder().join(path);
    let raw = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let name = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
    Mail { name, raw }
}

/// All mails directly in a folder (`""`, `"hostile"`, `"others"`), by name.
pub fn mails(subfolder: &str) -> Vec<Mail> {
    let entries = std::fs::read_dir(folder().join(subfolder)).expect("read the folder of mails").flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.strip_suffix(".eml").is_some())
        .collect();
    names.sort();
    let prefix = if subfolder.is_empty() { String::new() } else { format!("{subfolder}/") };
    names.iter().map(|name| mail(&format!("{prefix}{name}"))).collect()
}

/// The thirty requests, each with its expectation.
pub fn requests() -> Vec<(Mail, Expectation)> {
    let expectation = |mail: &Mail| {
        let file = folder().join("expected").join(format!("{}.json", mail.name));
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    };
    mails("").into_iter().map(|mail| (mail.clone(), expectation(&mail))).collect()
}

/// What mail of `others/` must lead to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Other {
    /// The mail of the thirty that it follows.
    pub after: Option<String>,
    pub intent: String,
    pub language: String,
    /// `ignored`, or `no_quote` where the intent decides what else.
    pub outcome: String,
    /// `headers`, where no model is asked.
    pub by: Option<String>,
}

/// Mail that asks for no new quote, by name.
pub fn others() -> Vec<(Mail, Other)> {
    let expected: BTreeMap<String, Other> = serde_json::from_value(json("others/expected.json")).expect("expectations");
    expected.into_iter().map(|(name, expected)| (mail(&format!("others/{name}")), expected)).collect()
}

/// The workshop's body for `POST /v1/tenants`.
pub fn workshop() -> Value {
    json("tenant.json")
}

/// The workshop's bodies for `POST /v1/products`.
pub fn products() -> Vec<Value> {
    serde_json::from_value(json("products.json")).expect("products.json is an array")
}

fn json(name: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(name)).expect("read the workshop");
    serde_json::from_str(&text).expect("the workshop is JSON")
}

/// A plain quote request that no other is like.
#[derive(Debug, Clone)]
pub struct SimpleRequest {
    /// Without angle brackets.
    pub message_id: String,
    pub from: String,
    pub raw: Vec<u8>,
}

/// The request number `number`, for benchmarks and drills that need many; from a sender of its own.
pub fn simple_request(number: usize, to: &str) -> SimpleRequest {
    let message_id = format!("request-{number}@drills.example");
    let from = format!("customer-{number}@drills.example");
    let raw = format!(
        "From: Customer {number} <{from}>\r\nTo: {to}\r\nSubject: Banners for event {number}\r\nMessage-ID: <{message_id}>\r\n\
         Date: Sat, 21 Nov 2026 09:00:00 +0000\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
         Hello,\r\n\r\nplease quote {} vinyl banners, each 3 m wide and 1 m high, in PVC.\r\n\r\nKind regards,\r\nCustomer {number}\r\n",
        2 + number % 50
    );
    SimpleRequest { message_id, from, raw: raw.into_bytes() }
}
