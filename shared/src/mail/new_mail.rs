use chrono::{DateTime, Utc};

use crate::ids::{AccountId, MailId};

/// Bounds on what is kept of a mail; the raw text in the object store is whole.
const MOST_TEXT: usize = 500_000;
const MOST_LINE: usize = 2_000;
const MOST_REFERENCES: usize = 100;

/// A mail that was fetched.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMail {
    pub account_id: AccountId,
    pub folder: String,
    pub uid_validity: u32,
    /// See [`Epoch`](super::Epoch).
    pub epoch: i64,
    pub uid: u32,
    /// See [`dedupe_key`](super::dedupe_key).
    pub dedupe_key: String,
    pub rfc_message_id: Option<String>,
    /// What the provider calls it, whatever its number, where it has such ids.
    pub provider_id: Option<String>,
    pub in_reply_to: Option<String>,
    /// Oldest first.
    pub references: Vec<String>,
    pub from_address: String,
    pub from_name: Option<String>,
    pub subject: String,
    pub sent_at: Option<DateTime<Utc>>,
    pub received_at: DateTime<Utc>,
    pub raw_key: String,
    pub size: u64,
    pub text: String,
    /// Why it cannot be read, if it cannot: it is recorded as failed.
    pub failure: Option<String>,
}

impl NewMail {
    /// The id its record has or will have.
    pub fn id(&self) -> MailId {
        MailId::of(self.account_id, &self.dedupe_key)
    }

    /// Message-IDs it names, the nearest relative first.
    pub(super) fn related(&self) -> Vec<String> {
        self.in_reply_to.iter().chain(self.references.iter().rev()).cloned().collect()
    }

    /// Brings whatever a stranger sent into bounds that both databases accept.
    pub(super) fn bounded(self) -> Self {
        let line = |text: String| clean(&text, MOST_LINE);
        let references = self.references.into_iter().rev().take(MOST_REFERENCES).map(line);
        let mut references: Vec<String> = references.collect();
        references.reverse();
        Self {
            dedupe_key: line(self.dedupe_key),
            rfc_message_id: self.rfc_message_id.map(line),
            in_reply_to: self.in_reply_to.map(line),
            references,
            from_address: line(self.from_address),
            from_name: self.from_name.map(line),
            subject: line(self.subject),
            text: clean(&self.text, MOST_TEXT),
            failure: self.failure.map(line),
            ..self
        }
    }
}

/// PostgreSQL refuses the character NUL in texts.
fn clean(text: &str, most: usize) -> String {
    text.chars().filter(|c| *c != '\0').take(most).collect()
}
