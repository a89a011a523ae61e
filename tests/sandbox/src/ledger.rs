//! Every message the SMTP server accepted, in order, with the microsecond: the outside witness of what was sent.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use mail_parser::{HeaderValue, MessageParser};
use serde::{Deserialize, Serialize};
use tokio::sync::{oneshot, watch};

use crate::clock;
use crate::journal::Journal;

/// One accepted message. `seq` counts from 1 without gaps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    pub seq: u64,
    pub accepted_at: DateTime<Utc>,
    /// The same instant in microseconds since 1970.
    pub accepted_at_us: i64,
    /// The login of the submitting account; `None` for mail handed in without one.
    pub account: Option<String>,
    pub mail_from: String,
    pub rcpt_to: Vec<String>,
    pub message_id: Option<String>,
    pub in_reply_to: Option<String>,
    pub references: Vec<String>,
    pub subject: Option<String>,
    pub bytes: usize,
}

/// Who sent what to whom, before it is recorded.
#[derive(Debug, Clone, Default)]
pub struct Envelope {
    pub account: Option<String>,
    pub mail_from: String,
    pub rcpt_to: Vec<String>,
}

/// The message could not be written to disk and is not accepted.
#[derive(Debug, thiserror::Error)]
#[error("the ledger could not be written")]
pub struct NotRecorded;

#[derive(Debug, Default)]
struct Entries {
    next_seq: u64,
    list: Vec<(Accepted, Bytes)>,
}

#[derive(Debug)]
pub struct Ledger {
    entries: Arc<Mutex<Entries>>,
    count: Arc<watch::Sender<u64>>,
    journal: Journal,
}

impl Ledger {
    pub fn open(path: Option<&Path>) -> io::Result<Self> {
        let (journal, records) = match path {
            Some(path) => Journal::open(path)?,
            None => (Journal::in_memory(), Vec::new()),
        };
        let mut list = Vec::new();
        for record in records {
            list.push((serde_json::from_value::<Accepted>(record.head)?, record.body));
        }
        let newest = list.last().map_or(0, |(accepted, _)| accepted.seq);
        let entries = Entries { next_seq: newest + 1, list };
        Ok(Self { entries: Arc::new(Mutex::new(entries)), count: Arc::new(watch::Sender::new(newest)), journal })
    }

    /// Records a message; when this returns it is on disk (if there is a data folder) and visible.
    pub async fn record(&self, envelope: Envelope, raw: Bytes) -> Result<Accepted, NotRecorded> {
        let headings = Headings::of(&raw);
        let (done, durable) = oneshot::channel();
        {
            let mut entries = lock(&self.entries);
            let accepted = headings.into_accepted(entries.next_seq, envelope, raw.len());
            entries.next_seq += 1;
            let head = serde_json::to_value(&accepted).map_err(|_| NotRecorded)?;
            let (shared, count) = (Arc::clone(&self.entries), Arc::clone(&self.count));
            if self.journal.is_in_memory() {
                entries.list.push((accepted.clone(), raw));
                count.send_replace(accepted.seq);
                return Ok(accepted);
            }
            // Appended under the lock, so that the file's order is the order of `seq`; the closure runs on the
            // writer's thread.
            self.journal.append(head, raw.clone(), move || {
                lock(&shared).list.push((accepted.clone(), raw));
                count.send_replace(accepted.seq);
                let _ = done.send(accepted);
            });
        }
        durable.await.map_err(|_| NotRecorded)
    }

    /// All accepted messages, oldest first.
    pub fn all(&self) -> Vec<Accepted> {
        lock(&self.entries).list.iter().map(|(accepted, _)| accepted.clone()).collect()
    }

    pub(crate) fn all_with_raw(&self) -> Vec<(Accepted, Bytes)> {
        lock(&self.entries).list.clone()
    }

    /// The message as it came over the wire, dot-unstuffed.
    pub fn raw(&self, seq: u64) -> Option<Bytes> {
        lock(&self.entries).list.iter().find(|(accepted, _)| accepted.seq == seq).map(|(_, raw)| raw.clone())
    }

    /// Changes with every acceptance; the value is the newest `seq`.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.count.subscribe()
    }

    pub fn clear(&self) {
        let mut entries = lock(&self.entries);
        *entries = Entries { next_seq: 1, list: Vec::new() };
        self.journal.clear();
        self.count.send_replace(0);
    }
}

fn lock(entries: &Mutex<Entries>) -> MutexGuard<'_, Entries> {
    entries.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The headers by which a reply is matched to its thread.
#[derive(Debug, Default)]
pub struct Headings {
    pub message_id: Option<String>,
    pub in_reply_to: Option<String>,
    pub references: Vec<String>,
    pub subject: Option<String>,
    pub from: Option<String>,
}

impl Headings {
    /// Ids come without their angle brackets.
    pub fn of(raw: &[u8]) -> Self {
        let Some(message) = MessageParser::new().parse_headers(raw) else { return Self::default() };
        Self {
            message_id: message.message_id().map(str::to_owned),
            in_reply_to: ids(message.in_reply_to()).into_iter().next(),
            references: ids(message.references()),
            subject: message.subject().map(str::to_owned),
            from: message.from().and_then(|from| from.first()).and_then(|from| from.address()).map(str::to_owned),
        }
    }

    fn into_accepted(self, seq: u64, envelope: Envelope, bytes: usize) -> Accepted {
        let accepted_at = clock::now();
        Accepted {
            seq,
            accepted_at,
            accepted_at_us: accepted_at.timestamp_micros(),
            account: envelope.account,
            mail_from: envelope.mail_from,
            rcpt_to: envelope.rcpt_to,
            message_id: self.message_id,
            in_reply_to: self.in_reply_to,
            references: self.references,
            subject: self.subject,
            bytes,
        }
    }
}

fn ids(value: &HeaderValue<'_>) -> Vec<String> {
    match value {
        HeaderValue::Text(id) => vec![id.to_string()],
        HeaderValue::TextList(ids) => ids.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    }
}
