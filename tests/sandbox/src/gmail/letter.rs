//! A message in a mailbox, as the API shows it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::ledger::Headings;

/// A message: a draft, a sent one, or one that came in.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) id: String,
    pub(super) thread: String,
    pub(super) label: &'static str,
    pub(super) at: DateTime<Utc>,
    pub(super) raw: Bytes,
}

/// How much of a message is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Format {
    Minimal,
    /// With these headers; with all if none is named.
    Metadata(Vec<String>),
    Raw,
}

impl Format {
    /// `format` and `metadataHeaders` of a query.
    pub(super) fn of(query: &[(String, String)]) -> Self {
        let named =
            query.iter().filter(|(name, _)| name == "metadataHeaders").map(|(_, value)| value.clone()).collect();
        match query.iter().find(|(name, _)| name == "format").map(|(_, value)| value.as_str()) {
            Some("minimal") => Self::Minimal,
            Some("raw") => Self::Raw,
            _ => Self::Metadata(named),
        }
    }
}

impl Letter {
    pub(super) fn reference(&self) -> Value {
        json!({"id": self.id, "threadId": self.thread})
    }

    pub(super) fn shown(&self, format: &Format) -> Value {
        let mut shown = json!({
            "id": self.id, "threadId": self.thread, "labelIds": [self.label], "snippet": "",
            "sizeEstimate": self.raw.len(), "historyId": "1", "internalDate": self.at.timestamp_millis().to_string(),
        });
        match format {
            Format::Minimal => {}
            Format::Raw => shown["raw"] = URL_SAFE.encode(&self.raw).into(),
            Format::Metadata(named) => {
                let wanted = |name: &str| named.is_empty() || named.iter().any(|one| one.eq_ignore_ascii_case(name));
                let headers = headers(&self.raw).into_iter().filter(|(name, _)| wanted(name));
                let headers: Vec<Value> = headers.map(|(name, value)| json!({"name": name, "value": value})).collect();
                shown["payload"] =
                    json!({"partId": "", "mimeType": "multipart/mixed", "filename": "", "headers": headers});
            }
        }
        shown
    }

    pub(super) fn headings(&self) -> Headings {
        Headings::of(&self.raw)
    }
}

/// Names and unfolded values, in order.
pub(super) fn headers(raw: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(head(raw));
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = headers.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    headers
}

/// Everything before the empty line.
fn head(raw: &[u8]) -> &[u8] {
    let end = raw.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 2);
    let end = end.or_else(|| raw.windows(2).position(|two| two == b"\n\n").map(|at| at + 1));
    &raw[..end.unwrap_or(raw.len())]
}

/// The message with another Message-ID, as Google sends it.
pub(super) fn renamed(raw: &[u8], id: &str) -> Bytes {
    let head = head(raw);
    let mut out = format!("Message-ID: <{id}>\r\n").into_bytes();
    let mut dropping = false;
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            dropping = line.len() > 11 && line[..11].eq_ignore_ascii_case(b"message-id:");
        }
        if !dropping {
            out.extend_from_slice(line);
        }
    }
    out.extend_from_slice(&raw[head.len()..]);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renamed_message_is_the_same_otherwise() {
        let raw = b"Subject: a\r\nMessage-ID:\r\n <ours@here>\r\nX-One: two\r\n three\r\n\r\nMessage-ID: body\r\n";
        let renamed = renamed(raw, "theirs@there");
        let text = String::from_utf8(renamed.to_vec()).unwrap();
        assert_eq!(
            text,
            "Message-ID: <theirs@there>\r\nSubject: a\r\nX-One: two\r\n three\r\n\r\nMessage-ID: body\r\n"
        );
        assert_eq!(headers(&renamed)[2], ("X-One".to_owned(), "two three".to_owned()));
    }
}
