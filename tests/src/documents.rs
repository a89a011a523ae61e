//! The committed documents of `tests/documents`, and what each must lead to.

pub mod hostile;

use std::path::PathBuf;

use serde::Deserialize;

use crate::binaries::repository;
use crate::mails::Dimension;

/// One file.
#[derive(Debug, Clone)]
pub struct CommittedDocument {
    /// With its ending.
    pub name: String,
    pub content: Vec<u8>,
    pub expected: Expectation,
}

/// What reading it must give.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// What it truly is.
    pub kind: String,
    pub language: String,
    /// `read`, `picture` or `unread`.
    pub state: String,
    /// A part of the reason why it was not read.
    pub reason_contains: Option<String>,
    #[serde(default)]
    pub items: Vec<Item>,
}

/// A position of the quote.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    pub sku: String,
    pub quantity: String,
    pub material: Option<String>,
    pub dimensions: Vec<Dimension>,
}

/// All of them, by name.
///
/// # Panics
/// When one has no expectation.
pub fn documents() -> Vec<CommittedDocument> {
    let folder = folder();
    let entries = std::fs::read_dir(&folder).expect("read the folder of documents").flatten();
    let files = entries.filter(|entry| entry.path().is_file() && entry.file_name() != "README.md");
    let mut names: Vec<String> = files.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names.into_iter().map(document).collect()
}

/// One of them.
///
/// # Panics
/// When it or its expectation is missing.
pub fn document(name: impl Into<String>) -> CommittedDocument {
    let name = name.into();
    let content = std::fs::read(folder().join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
    let file = folder().join("expected").join(format!("{stem}.json"));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let expected = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    CommittedDocument { name, content, expected }
}

fn folder() -> PathBuf {
    repository().join("tests/documents")
}

/// A mail with files, each under its name.
pub fn mail_with(number: usize, to: &str, text: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    use base64::Engine as _;

    let mut parts = vec![format!(
        "From: Customer {number} <customer-{number}@documents.example>\r\nTo: {to}\r\nSubject: Anfrage {number}\r\n\
         Message-ID: <document-{number}@documents.example>\r\nDate: Sat, 21 Nov 2026 09:00:00 +0000\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"=_b{number}\"\r\n\r\n\
         --=_b{number}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    )];
    for (name, content) in files {
        let coded = base64::engine::general_purpose::STANDARD.encode(content);
        let lines: Vec<&str> = coded.as_bytes().chunks(76).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        // What the sender says it is counts for nothing.
        parts.push(format!(
            "--=_b{number}\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\
             Content-Disposition: attachment; filename=\"{name}\"\r\n\r\n{}\r\n",
            lines.join("\r\n")
        ));
    }
    parts.push(format!("--=_b{number}--\r\n"));
    parts.concat().into_bytes()
}
