//! What is new in a folder, and the bytes of one message.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_imap::imap_proto::{AttributeValue, MailboxDatum, MessageSection, Response, SectionPath};
use bytes::Bytes;
use chrono::{DateTime, NaiveDate, Utc};
use mail_parser::{Message, MessageParser};
use postrider_shared::mail::Print;

use super::{ImapError, Session, Stage};

/// Bytes a listing may take: about 150,000 messages.
const LISTING: u64 = 16 * 1024 * 1024;
/// Bytes the header lines of one message may take.
const HEADER: u64 = 2 * 1024 * 1024;
/// The slowest server worth waiting for.
const BYTES_PER_SECOND: u64 = 256 * 1024;
const UIDS_PER_FETCH: usize = 200;
/// What a print is made of. Bytes beyond some thousand tell mails apart no better.
const PRINTED: &str = "BODY.PEEK[HEADER.FIELDS (MESSAGE-ID DATE FROM SUBJECT)]<0.4096>";

/// From where a listing starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// The first UID that was not seen yet.
    Uid(u32),
    /// Without a usable position (first poll, or the folder was rebuilt): by the day of arrival, UTC.
    Day(NaiveDate),
}

/// One message as the server lists it. Servers may leave out what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    pub uid: u32,
    pub size: Option<u32>,
    /// INTERNALDATE: when the server received it.
    pub received_at: Option<DateTime<Utc>>,
}

impl Session {
    /// The `limit` messages with the lowest UIDs since then, ascending.
    pub async fn list(&mut self, since: Since, limit: usize) -> Result<Vec<Listed>, ImapError> {
        match since {
            Since::Uid(first) => self.listed(&format!("{first}:*"), first, limit).await,
            Since::Day(day) => {
                let uids = self.arrived_since(day).await?;
                let mut listed = Vec::new();
                for chunk in uids.chunks(UIDS_PER_FETCH) {
                    listed.extend(self.entries(chunk).await?.into_values());
                    if listed.len() >= limit {
                        break;
                    }
                }
                listed.truncate(limit);
                Ok(listed)
            }
        }
    }

    /// The UIDs of all messages since then, ascending: what a server can tell without looking into any of them.
    pub async fn uids(&mut self, since: Since) -> Result<Vec<u32>, ImapError> {
        let mut uids = match since {
            Since::Day(day) => self.arrived_since(day).await?,
            Since::Uid(first) => match self.search(&format!("UID {first}:*")).await {
                Err(ImapError::Refused { .. } | ImapError::Protocol { .. }) => self.numbered(first).await?,
                answer => answer?,
            },
        };
        if let Since::Uid(first) = since {
            uids.retain(|uid| *uid >= first);
        }
        Ok(uids)
    }

    /// What a listing says of these messages; nothing of those that are gone.
    pub async fn entries(&mut self, uids: &[u32]) -> Result<BTreeMap<u32, Listed>, ImapError> {
        let mut found = BTreeMap::new();
        for chunk in uids.chunks(UIDS_PER_FETCH) {
            let set: Vec<String> = chunk.iter().map(u32::to_string).collect();
            let listed = self.listed(&set.join(","), chunk[0], usize::MAX).await?;
            found.extend(
                listed.into_iter().filter(|listed| chunk.contains(&listed.uid)).map(|listed| (listed.uid, listed)),
            );
        }
        Ok(found)
    }

    /// `n:*` always answers with the last message, even when its UID is below n; such lines are dropped.
    async fn listed(&mut self, set: &str, first: u32, limit: usize) -> Result<Vec<Listed>, ImapError> {
        let mut found = BTreeMap::new();
        let mut nameless = false;
        let command = format!("UID FETCH {set} (UID RFC822.SIZE INTERNALDATE)");
        self.command(Stage::List, &command, self.limits.command, LISTING, |response| {
            let Response::Fetch(_, attributes) = response else { return };
            nameless |= is_nameless(attributes);
            if let Some(listed) = listed(attributes)
                && listed.uid >= first
            {
                found.insert(listed.uid, listed);
                if found.len() > limit {
                    found.pop_last();
                }
            }
        })
        .await?;
        if nameless {
            // Going on would pass over that message for good.
            return Err(ImapError::Protocol {
                stage: Stage::List,
                detail: "it lists a message without its UID".into(),
            });
        }
        Ok(found.into_values().collect())
    }

    /// UIDs of what arrived on or after that day, ascending. A server without SEARCH lists everything.
    async fn arrived_since(&mut self, day: NaiveDate) -> Result<Vec<u32>, ImapError> {
        match self.arrived("SINCE", day).await {
            Err(ImapError::Refused { .. } | ImapError::Protocol { .. }) => self.numbered(1).await,
            answer => answer,
        }
    }

    /// The UIDs from this one on, of a server without SEARCH.
    async fn numbered(&mut self, first: u32) -> Result<Vec<u32>, ImapError> {
        let mut uids = BTreeSet::new();
        let command = format!("UID FETCH {first}:* (UID)");
        self.command(Stage::List, &command, self.limits.command, LISTING, |response| {
            if let Response::Fetch(_, attributes) = response {
                uids.extend(uid_of(attributes));
            }
        })
        .await?;
        Ok(uids.into_iter().collect())
    }

    /// UIDs of what arrived before that day, ascending; of none where the server has no SEARCH.
    pub async fn arrived_before(&mut self, day: NaiveDate) -> Result<Vec<u32>, ImapError> {
        match self.arrived("BEFORE", day).await {
            Err(ImapError::Refused { .. } | ImapError::Protocol { .. }) => Ok(Vec::new()),
            answer => answer,
        }
    }

    async fn arrived(&mut self, when: &str, day: NaiveDate) -> Result<Vec<u32>, ImapError> {
        self.search(&format!("{when} {}", day.format("%-d-%b-%Y"))).await
    }

    async fn search(&mut self, wanted: &str) -> Result<Vec<u32>, ImapError> {
        let mut uids = Vec::new();
        let command = format!("UID SEARCH {wanted}");
        self.command(Stage::List, &command, self.limits.command, LISTING, |response| {
            if let Response::MailboxData(MailboxDatum::Search(found)) = response {
                uids.extend_from_slice(found);
            }
        })
        .await?;
        uids.sort_unstable();
        uids.dedup();
        Ok(uids)
    }

    /// The Message-IDs of these messages, without angle brackets; of those that have one, and are still there.
    pub async fn message_ids(&mut self, uids: &[u32]) -> Result<BTreeMap<u32, String>, ImapError> {
        let mut found = BTreeMap::new();
        for chunk in uids.chunks(UIDS_PER_FETCH) {
            let set: Vec<String> = chunk.iter().map(u32::to_string).collect();
            let command = format!("UID FETCH {} (UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])", set.join(","));
            self.command(Stage::List, &command, self.limits.command, LISTING, |response| {
                if let Response::Fetch(_, attributes) = response
                    && let Some(uid) = uid_of(attributes)
                    && let Some(header) = attributes.iter().find_map(header_of)
                    && let Some(id) =
                        MessageParser::default().parse_headers(header).as_ref().and_then(Message::message_id)
                {
                    found.insert(uid, id.to_owned());
                }
            })
            .await?;
        }
        Ok(found)
    }

    /// The prints of these messages, as far as the server shows what they are made of.
    pub async fn prints(&mut self, uids: &[u32]) -> Result<BTreeMap<u32, Print>, ImapError> {
        let mut found = BTreeMap::new();
        for chunk in uids.chunks(UIDS_PER_FETCH) {
            let set: Vec<String> = chunk.iter().map(u32::to_string).collect();
            let command = format!("UID FETCH {} (UID RFC822.SIZE {PRINTED})", set.join(","));
            self.command(Stage::List, &command, self.limits.command, LISTING, |response| {
                if let Response::Fetch(_, attributes) = response
                    && let Some(listed) = listed(attributes)
                    && let Some(print) = print_of(listed, attributes)
                {
                    found.insert(listed.uid, print);
                }
            })
            .await?;
        }
        Ok(found)
    }

    /// What Gmail calls these messages; nothing elsewhere.
    pub async fn gmail_ids(&mut self, uids: &[u32]) -> Result<BTreeMap<u32, String>, ImapError> {
        let mut found = BTreeMap::new();
        if uids.is_empty() || !self.offers(Stage::List, "X-GM-EXT-1").await? {
            return Ok(found);
        }
        for chunk in uids.chunks(UIDS_PER_FETCH) {
            let set: Vec<String> = chunk.iter().map(u32::to_string).collect();
            let command = format!("UID FETCH {} (UID X-GM-MSGID)", set.join(","));
            self.command(Stage::List, &command, self.limits.command, LISTING, |response| {
                if let Response::Fetch(_, attributes) = response
                    && let Some(uid) = uid_of(attributes)
                    && let Some(id) = attributes.iter().find_map(|attribute| match attribute {
                        AttributeValue::GmailMsgId(id) => Some(*id),
                        _ => None,
                    })
                {
                    found.insert(uid, format!("gmail:{id}"));
                }
            })
            .await?;
        }
        Ok(found)
    }

    /// The messages with these numbers (not UIDs; the oldest has 1) and their prints, in any order.
    pub async fn printed(&mut self, first: u32, last: u32) -> Result<Vec<(Listed, Option<Print>)>, ImapError> {
        let mut found = Vec::new();
        let command = format!("FETCH {first}:{last} (UID RFC822.SIZE INTERNALDATE {PRINTED})");
        self.command(Stage::List, &command, self.limits.command, LISTING, |response| {
            if let Response::Fetch(_, attributes) = response
                && let Some(listed) = listed(attributes)
            {
                found.push((listed, print_of(listed, attributes)));
            }
        })
        .await?;
        Ok(found)
    }

    /// The header lines only, of a message too large to be fetched whole; `None` if it is gone.
    pub async fn fetch_header(&mut self, uid: u32) -> Result<Option<Bytes>, ImapError> {
        let mut header = None;
        let command = format!("UID FETCH {uid} (UID BODY.PEEK[HEADER])");
        self.command(Stage::Fetch, &command, self.limits.command, HEADER, |response| {
            if let Response::Fetch(_, attributes) = response
                && let Some(data) = attributes.iter().find_map(header_of)
            {
                header = Some(Bytes::copy_from_slice(data));
            }
        })
        .await?;
        Ok(header)
    }

    /// The raw message, or `None` if it is gone. Fails with [`ImapError::TooMuch`] beyond `max_bytes`; the
    /// connection is then of no further use.
    pub async fn fetch(&mut self, uid: u32, max_bytes: u64) -> Result<Option<Bytes>, ImapError> {
        self.fetch_within(uid, max_bytes, self.fetch_patience(max_bytes)).await
    }

    /// How long a message of so many bytes may take.
    pub fn fetch_patience(&self, bytes: u64) -> Duration {
        self.limits.command + Duration::from_secs(bytes / BYTES_PER_SECOND)
    }

    /// [`fetch`](Self::fetch) with another time limit.
    pub async fn fetch_within(
        &mut self,
        uid: u32,
        max_bytes: u64,
        limit: Duration,
    ) -> Result<Option<Bytes>, ImapError> {
        let mut body = None;
        let mut mentioned = false;
        let command = format!("UID FETCH {uid} (UID BODY.PEEK[])");
        self.command(Stage::Fetch, &command, limit, max_bytes.saturating_add(64 * 1024), |response| {
            if let Response::Fetch(_, attributes) = response
                && uid_of(attributes).is_none_or(|answered| answered == uid)
            {
                mentioned |= uid_of(attributes).is_some();
                if let Some(data) = message(attributes) {
                    body = Some(Bytes::copy_from_slice(data));
                }
            }
        })
        .await?;
        match body {
            Some(body) => Ok(Some(body)),
            None if mentioned => Err(ImapError::Withheld { uid }),
            None => Ok(None),
        }
    }
}

pub(super) fn uid_of(attributes: &[AttributeValue<'_>]) -> Option<u32> {
    attributes.iter().find_map(|attribute| match attribute {
        AttributeValue::Uid(uid) => Some(*uid),
        _ => None,
    })
}

/// An answer to our listing, other than news of flags, that does not say which message it is about.
fn is_nameless(attributes: &[AttributeValue<'_>]) -> bool {
    let listed = |attribute: &AttributeValue<'_>| {
        matches!(attribute, AttributeValue::Rfc822Size(_) | AttributeValue::InternalDate(_))
    };
    uid_of(attributes).is_none() && attributes.iter().any(listed)
}

pub(super) fn message<'a>(attributes: &'a [AttributeValue<'_>]) -> Option<&'a [u8]> {
    attributes.iter().find_map(|attribute| match attribute {
        AttributeValue::BodySection { section: None, data: Some(data), .. } | AttributeValue::Rfc822(Some(data)) => {
            Some(data.as_ref())
        }
        _ => None,
    })
}

fn header_of<'a>(attribute: &'a AttributeValue<'_>) -> Option<&'a [u8]> {
    match attribute {
        AttributeValue::BodySection {
            section: Some(SectionPath::Full(MessageSection::Header)),
            data: Some(data),
            ..
        }
        | AttributeValue::Rfc822Header(Some(data)) => Some(data.as_ref()),
        _ => None,
    }
}

fn print_of(listed: Listed, attributes: &[AttributeValue<'_>]) -> Option<Print> {
    let header = attributes.iter().find_map(header_of)?;
    Some(Print::of(header, u64::from(listed.size?)))
}

fn listed(attributes: &[AttributeValue<'_>]) -> Option<Listed> {
    let uid = uid_of(attributes)?;
    let mut listed = Listed { uid, size: None, received_at: None };
    for attribute in attributes {
        match attribute {
            AttributeValue::Rfc822Size(size) => listed.size = Some(*size),
            AttributeValue::InternalDate(text) => {
                let parsed = DateTime::parse_from_str(text.trim(), "%d-%b-%Y %H:%M:%S %z");
                listed.received_at = parsed.ok().map(|at| at.to_utc());
            }
            _ => {}
        }
    }
    Some(listed)
}
