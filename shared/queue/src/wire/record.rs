//! Decoding records.

use std::{collections::HashMap, time::Duration};

use redis::Value;

use super::{
    Attempt, BatchId, DateTime, JobId, JobKind, JobRecord, JobState, Lane, LaneName, Links, QueueError, QueueName,
    RecipientKey, ScopeKey, Tenant, UniqueFor, UniqueKey, Utc, bytes, integer, list, time,
};
use crate::{priority::Priority, script::PROTOCOL};

const AVAILABLE: u8 = b'a';
const RESERVED: u8 = 1;
const CANCEL: u8 = 2;
const HAS_UNIQUE: u8 = 4;
const HAS_IDEMPOTENCY: u8 = 8;
const HAS_ERROR: u8 = 16;
const HAS_PROGRESS: u8 = 32;
const HAS_OUTPUT: u8 = 64;
const HAS_MORE: u8 = 128;

/// A lane's place in the whole: what its number stands for.
#[derive(Debug, Clone)]
struct Place {
    queue: QueueName,
    tenant: Tenant,
    lane: Lane,
    priority: Priority,
}

/// What the numbers in the records of one answer stand for.
#[derive(Debug, Default)]
pub(crate) struct Names {
    places: HashMap<u32, Place>,
    kinds: HashMap<u16, JobKind>,
}

impl Names {
    /// From two flat lists of numbers and names.
    pub(crate) fn read(lanes: Value, kinds: Value) -> Result<Self, QueueError> {
        let mut names = Self::default();
        for pair in list(lanes)?.chunks_exact(2) {
            // A lane or kind that is missing or malformed is missed by its records only.
            if let (Ok(number), Ok(place)) = (u32::try_from(integer(&pair[0])?), place(&bytes(pair[1].clone())?)) {
                names.places.insert(number, place);
            }
        }
        for pair in list(kinds)?.chunks_exact(2) {
            let name = String::from_utf8_lossy(&bytes(pair[1].clone())?).into_owned();
            if let (Ok(number), Ok(kind)) = (u16::try_from(integer(&pair[0])?), JobKind::parse(name)) {
                names.kinds.insert(number, kind);
            }
        }
        Ok(names)
    }
}

fn place(packed: &[u8]) -> Result<Place, QueueError> {
    let mut cursor = Cursor(packed);
    let queue = QueueName::parse(cursor.short_text()?)?;
    let tenant = Tenant::parse(cursor.short_text()?)?;
    let name = LaneName::parse(cursor.short_text()?)?;
    let total = cursor.number(1)?;
    let scopes = (0..total).map(|_| ScopeKey::parse(cursor.short_text()?)).collect::<Result<_, QueueError>>()?;
    Ok(Place { queue, tenant, lane: Lane { name, scopes }, priority: Priority::of_mark(cursor.0.first()) })
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], QueueError> {
        let (taken, rest) = self
            .0
            .split_at_checked(len)
            .ok_or_else(|| QueueError::Corrupt("a record that ends too early".to_owned()))?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self, len: usize) -> Result<u64, QueueError> {
        Ok(self.take(len)?.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    fn small(&mut self, len: usize) -> Result<u32, QueueError> {
        u32::try_from(self.number(len)?).map_err(|_| QueueError::Corrupt("a number that is too large".to_owned()))
    }

    fn time(&mut self) -> Result<Option<DateTime<Utc>>, QueueError> {
        match self.number(6)? {
            0 => Ok(None),
            millis => time(millis).map(Some),
        }
    }

    fn long(&mut self, len: usize) -> Result<&'a [u8], QueueError> {
        let len = self.number(len)?;
        self.take(usize::try_from(len).map_err(|_| QueueError::Corrupt("a length that is too large".to_owned()))?)
    }

    fn short_text(&mut self) -> Result<String, QueueError> {
        let text = self.long(2)?;
        Ok(String::from_utf8_lossy(text).into_owned()) // a cut error text may end inside of a character
    }
}

/// The epoch of the claim that a record came with, which may be unreadable otherwise.
pub(crate) fn epoch(raw: &[u8]) -> u32 {
    let was = raw.get(17..21).map_or(0, |bytes| bytes.iter().fold(0, |number, byte| (number << 8) | u32::from(*byte)));
    if raw.get(1) == Some(&AVAILABLE) { was.wrapping_add(1) } else { was }
}

/// Reads the record that came with a claim made at this time. A script answers with the record as it was before, unless it
/// answers once more.
pub(crate) fn claimed(id: JobId, raw: &[u8], names: &Names, now: DateTime<Utc>) -> Result<JobRecord, QueueError> {
    let mut record = decode(id, raw, names)?;
    if record.state == JobState::Available {
        record.state = JobState::Running;
        record.attempt += 1;
        record.epoch = epoch(raw);
        record.started_at = Some(now);
    }
    Ok(record)
}

/// Reads a record.
pub(crate) fn decode(id: JobId, raw: &[u8], names: &Names) -> Result<JobRecord, QueueError> {
    let mut cursor = Cursor(raw);
    let version = cursor.number(1)?;
    if version != u64::from(PROTOCOL) {
        return Err(QueueError::Corrupt(format!("a record of protocol version {version}")));
    }
    let state = match cursor.take(1)?[0] {
        115 => JobState::Scheduled,
        AVAILABLE => JobState::Available,
        114 => JobState::Running,
        116 => JobState::Retryable,
        99 => JobState::Completed,
        120 => JobState::Cancelled,
        100 => JobState::Dead,
        other => return Err(QueueError::Corrupt(format!("job state {other}"))),
    };
    let flags = cursor.take(1)?[0];
    cursor.take(1)?; // keep class
    let kind = u16::try_from(cursor.small(2)?).unwrap_or_default();
    let lane = cursor.small(4)?;
    let missing = |what: &str| QueueError::Corrupt(format!("a {what} that nobody knows"));
    let place = names.places.get(&lane).ok_or_else(|| missing("lane"))?.clone();
    let kind = names.kinds.get(&kind).ok_or_else(|| missing("kind"))?.clone();
    let attempt = cursor.small(2)?;
    let max_attempts = cursor.small(2)?;
    let snoozes = cursor.small(2)?;
    let crashes = cursor.small(1)?;
    let epoch = cursor.small(4)?;
    let enqueued_at = cursor.time()?.unwrap_or_default();
    let run_at = cursor.time()?.unwrap_or_default();
    let started_at = cursor.time()?;
    let finished_at = cursor.time()?;
    let has = |flag: u8| flags & flag != 0;
    let reserved_at = if has(RESERVED) { cursor.time()? } else { None };
    let unique_key = has(HAS_UNIQUE).then(|| cursor.short_text()).transpose()?.map(UniqueKey);
    if has(HAS_IDEMPOTENCY) {
        cursor.short_text()?;
    }
    let error = has(HAS_ERROR).then(|| cursor.short_text()).transpose()?;
    let json = |bytes: &[u8]| {
        serde_json::from_slice(bytes)
            .unwrap_or_else(|_| serde_json::Value::String(String::from_utf8_lossy(bytes).into_owned()))
    };
    let progress = has(HAS_PROGRESS).then(|| cursor.long(4)).transpose()?.map(json);
    let output = has(HAS_OUTPUT).then(|| cursor.long(4)).transpose()?.map(json);
    let more = has(HAS_MORE)
        .then(|| cursor.long(4))
        .transpose()?
        .map_or_else(|| Ok(More::default()), |raw| more(id.shard(), raw))?;
    Ok(JobRecord {
        id,
        tenant: place.tenant,
        kind,
        queue: place.queue,
        lane: place.lane,
        priority: place.priority,
        state,
        attempt,
        max_attempts,
        snoozes,
        epoch,
        crashes,
        cancel_requested: has(CANCEL),
        payload: cursor.0.to_vec(),
        output,
        progress,
        error,
        enqueued_at,
        run_at,
        started_at,
        reserved_at,
        finished_at,
        unique_key,
        unique_for: more.unique_for,
        links: more.links,
        recipient: more.recipient,
        history: more.history,
        log_lines: more.log_lines,
    })
}

/// What few records have.
#[derive(Debug, Default)]
struct More {
    unique_for: UniqueFor,
    links: Links,
    recipient: Option<RecipientKey>,
    history: Vec<Attempt>,
    log_lines: u32,
}

fn more(shard: u16, raw: &[u8]) -> Result<More, QueueError> {
    let (mut cursor, mut more) = (Cursor(raw), More::default());
    while !cursor.0.is_empty() {
        let letter = cursor.take(1)?[0];
        let value = cursor.long(2)?;
        let id = || JobId::from_tail(shard, value);
        match letter {
            b'b' => more.links.batch = Some(BatchId(id()?)),
            b'p' => more.links.parent = Some(id()?),
            b'o' => more.links.redriven_from = Some(id()?),
            b'f' => more.links.completes = Some(BatchId(id()?)),
            b'h' => more.history = history(value)?,
            b'k' => more.recipient = Some(RecipientKey::from_bytes(value)?),
            b'l' => more.log_lines = Cursor(value).small(4)?,
            b'u' => {
                let mut held = Cursor(value);
                more.unique_for = match held.take(1)?[0] {
                    b'w' => UniqueFor::Waiting,
                    b'r' => UniqueFor::Replace,
                    b'p' => UniqueFor::Period(Duration::from_millis(held.number(6)?)),
                    _ => UniqueFor::default(),
                };
            }
            _ => {} // of a newer version
        }
    }
    Ok(more)
}

fn history(raw: &[u8]) -> Result<Vec<Attempt>, QueueError> {
    let (mut cursor, mut attempts) = (Cursor(raw), Vec::new());
    while !cursor.0.is_empty() {
        attempts.push(Attempt {
            started_at: cursor.time()?.unwrap_or_default(),
            duration: Duration::from_millis(cursor.number(4)?),
            error: cursor.short_text()?,
        });
    }
    Ok(attempts)
}
