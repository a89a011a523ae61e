//! One received mail, read from its raw bytes: who wrote it, what thread it is in, what it newly says.
//!
//! Mail comes from strangers, so everything here is bounded and nothing fails: whatever cannot be read is missing
//! from the result, and the reason is in [`Mail::unreadable`].

mod attached;
mod automatic;
mod html;
mod ids;
mod quoted;
pub(crate) mod subject;
mod text;

use chrono::{DateTime, Utc};
use mail_parser::{Address, Message, MessageParser};
use postrider_queue::Stop;

pub use self::attached::{Attached, File, MOST_ATTACHMENTS};
pub use self::automatic::{Author, OWN_MARK, is_unread};
pub use self::quoted::{Split, split};

/// Characters of text that are kept of one mail, and so the most a language model is shown.
pub const MAX_TEXT_CHARS: usize = 20_000;
const MAX_HEADER_CHARS: usize = 998;
const MAX_REFERENCES: usize = 50;

/// A mail as far as it could be read. All texts are untrusted and free of control characters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mail {
    /// Without angle brackets.
    pub message_id: Option<String>,
    pub in_reply_to: Option<String>,
    /// Oldest first, at most 50.
    pub references: Vec<String>,
    pub from_address: Option<String>,
    pub from_name: Option<String>,
    /// The first usable address of Reply-To.
    pub reply_to: Option<String>,
    pub subject: String,
    pub sent_at: Option<DateTime<Utc>>,
    /// The whole text, quoted parts included; at most [`MAX_TEXT_CHARS`].
    pub text: String,
    /// What its headers say about its [author](Self::author).
    pub signs: automatic::Signs,
    /// Why there is no text to read, if so.
    pub unreadable: Option<&'static str>,
}

impl Mail {
    /// Reads a raw RFC 5322 message.
    pub fn parse(raw: &[u8]) -> Self {
        let Some(message) = MessageParser::default().parse(raw) else {
            return Self { unreadable: Some("this is not a mail: it has neither headers nor text"), ..Self::default() };
        };
        let from = first_address(message.from());
        let (from_address, from_name) = from.unwrap_or_default();
        let reply_to = first_address(message.reply_to()).and_then(|(address, _)| address);
        let (in_reply_to, references) = (ids::of(message.in_reply_to()).pop(), ids::of(message.references()));
        let is_reply = in_reply_to.is_some() || !references.is_empty();
        let text = text::of(&message, is_reply);
        let mut mail = Self {
            message_id: message.message_id().and_then(ids::clean),
            in_reply_to,
            references,
            reply_to,
            from_address,
            from_name: from_name.map(|name| line(&name)).filter(|name| !name.is_empty()),
            subject: message.subject().map(line).unwrap_or_default(),
            sent_at: sent_at(&message),
            signs: automatic::Signs::of(&message),
            unreadable: (text.is_empty() && !attached::any(&message)).then_some("the mail has no readable text"),
            text,
        };
        if mail.references.len() > MAX_REFERENCES {
            // The first one names the thread, the last ones its latest mails.
            mail.references.drain(1..=mail.references.len() - MAX_REFERENCES);
        }
        mail
    }

    /// Reads a raw message [apart](apart).
    pub async fn parse_apart(raw: bytes::Bytes) -> Result<Self, CutOff> {
        apart(move || Self::parse(&raw)).await
    }

    /// Whether the mail says that it answers another one.
    pub fn is_reply(&self) -> bool {
        self.in_reply_to.is_some() || !self.references.is_empty()
    }
}

/// Why a mail was not read to its end. What a panic says may repeat the mail, so it is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CutOff {
    /// The reader panicked, and would do so again.
    #[error("the mail makes its reader crash")]
    Crashed,
    /// The process is stopping.
    #[error("reading the mail was cut off")]
    Stopped,
}

impl From<CutOff> for Stop {
    fn from(error: CutOff) -> Self {
        Self::retry(error)
    }
}

/// Reads on a thread that may be kept busy: a large mail takes a while. A panic ends only the reading.
pub async fn apart<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Result<T, CutOff> {
    let ended = tokio::task::spawn_blocking(read).await;
    ended.map_err(|error| if error.is_panic() { CutOff::Crashed } else { CutOff::Stopped })
}

/// A date before 1970 or far in the future is a broken clock or a lie; the time of arrival is used instead.
fn sent_at(message: &Message<'_>) -> Option<DateTime<Utc>> {
    let seconds = message.date()?.to_timestamp();
    DateTime::from_timestamp(seconds, 0).filter(|at| (0..4_102_444_800).contains(&at.timestamp()))
}

/// The first usable address; of ten thousand recipients no more than that is ever looked at.
fn first_address(addresses: Option<&Address<'_>>) -> Option<(Option<String>, Option<String>)> {
    addresses?.iter().take(10).find_map(|entry| {
        let address = entry.address().and_then(address)?;
        Some((Some(address), entry.name().map(ToOwned::to_owned)))
    })
}

/// An address that SMTP can carry, its domain in lower case.
fn address(text: &str) -> Option<String> {
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@')?;
    let clean = text.len() <= 254 && !text.chars().any(|c| c.is_control() || c.is_whitespace() || "<>,;\"".contains(c));
    let whole = format!("{local}@{}", domain.to_lowercase());
    (clean && whole.parse::<lettre::Address>().is_ok()).then_some(whole)
}

/// One line of at most 998 characters without control characters.
fn line(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_HEADER_CHARS).collect();
    clean.trim().to_owned()
}

#[cfg(test)]
mod tests;
