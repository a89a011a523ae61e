//! What the API answers, as far as we read it.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::LEDGER_HEADER;

/// A message's place in the mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Filed {
    pub id: String,
    pub thread_id: String,
}

/// A draft and the message in it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Drafted {
    pub id: String,
    pub message: Filed,
}

/// Some drafts, and how to get the next ones.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DraftPage {
    #[serde(default)]
    pub drafts: Vec<Drafted>,
    pub next_page_token: Option<String>,
}

/// A message with its labels and some headers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Letter {
    pub id: String,
    pub thread_id: String,
    #[serde(default)]
    pub label_ids: Vec<String>,
    /// When Google took it, in milliseconds since 1970.
    internal_date: Option<String>,
    #[serde(default)]
    payload: Payload,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct Payload {
    #[serde(default)]
    headers: Vec<Header>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Header {
    name: String,
    value: String,
}

impl Letter {
    /// Without angle brackets.
    pub fn message_id(&self) -> Option<&str> {
        let id = self.header("Message-ID")?;
        Some(id.trim_start_matches('<').trim_end_matches('>'))
    }

    /// The id of one of our messages, in one that we made.
    pub fn ledger_id(&self) -> Option<&str> {
        self.header(LEDGER_HEADER)
    }

    /// When Google took it.
    pub fn taken_at(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_millis(self.internal_date.as_deref()?.parse().ok()?)
    }

    /// Whether it went out.
    pub fn is_sent(&self) -> bool {
        let has = |label: &str| self.label_ids.iter().any(|id| id == label);
        has("SENT") && !has("DRAFT")
    }

    fn header(&self, name: &str) -> Option<&str> {
        let found = self.payload.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        Some(found.value.trim())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Letter;

    #[test]
    fn a_letter_says_whose_it_is_and_whether_it_went_out() {
        let letter = |labels: &[&str]| -> Letter {
            let headers =
                json!([{"name": "Message-Id", "value": "<a@b>"}, {"name": "x-postrider-message", "value": "7"}]);
            let value = json!({"id": "1", "threadId": "2", "labelIds": labels, "payload": {"headers": headers}});
            serde_json::from_value(value).unwrap()
        };
        let sent = letter(&["SENT", "INBOX"]);
        assert_eq!((sent.message_id(), sent.ledger_id(), sent.is_sent()), (Some("a@b"), Some("7"), true));
        assert!(!letter(&["DRAFT"]).is_sent() && !letter(&[]).is_sent());
    }
}
