//! The bytes that travel between Rust and the scripts. `lua/lib/record.lua` describes records; items are described here.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};

use crate::{
    batch::BatchId,
    error::QueueError,
    id::JobId,
    job::{Links, MAX_KEY_BYTES, MAX_PAYLOAD_BYTES, NewJob, UniqueFor, UniqueKey},
    lane::Lane,
    name::{JobKind, LaneName, QueueName, ScopeKey, Tenant},
    recipient::RecipientKey,
    record::{Attempt, JobRecord, JobState},
};

mod answer;
mod limits;
mod plain;
mod record;

pub(crate) use answer::{bytes, fields, integer, list, text};
pub(crate) use limits::{limits, restored};
pub(crate) use plain::{Plain, is_plain, plain};
pub(crate) use record::{Names, claimed, decode, epoch};

const HAS_UNIQUE: u8 = 4;
const HAS_IDEMPOTENCY: u8 = 8;
const HAS_MORE: u8 = 128;
/// Times on the wire have 6 bytes: milliseconds since 1970, up to the year 10889.
const MAX_MILLIS: i64 = (1 << 48) - 1;

/// How long finished records are kept: the first class that is long enough. `lua/lib/naming.lua` has the same list.
const KEEP_SECONDS: [u64; 13] =
    [1, 10, 60, 300, 900, 3_600, 21_600, 86_400, 259_200, 604_800, 2_592_000, 7_776_000, 31_536_000];

pub(crate) fn millis(at: DateTime<Utc>) -> u64 {
    at.timestamp_millis().clamp(0, MAX_MILLIS).unsigned_abs()
}

pub(crate) fn time(millis: u64) -> Result<DateTime<Utc>, QueueError> {
    i64::try_from(millis)
        .ok()
        .and_then(DateTime::from_timestamp_millis)
        .ok_or_else(|| QueueError::Corrupt(format!("time {millis}")))
}

pub(crate) fn put_u48(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes()[2..]);
}

fn put_u16(out: &mut Vec<u8>, value: usize) {
    out.extend_from_slice(&u16::try_from(value).unwrap_or(u16::MAX).to_be_bytes());
}

pub(crate) fn put_short(out: &mut Vec<u8>, text: &str) {
    let text = &text.as_bytes()[..text.len().min(usize::from(u16::MAX))];
    put_u16(out, text.len());
    out.extend_from_slice(text);
}

/// A lane without a priority: queue, tenant and name with their lengths H, number of scopes B, the scopes with theirs. The
/// lane of another priority than normal has a byte more, so the priorities of a lane are lanes of their own to the scripts.
pub(crate) fn lane(queue: &QueueName, tenant: &Tenant, lane: &Lane) -> Vec<u8> {
    let mut packed = Vec::with_capacity(96);
    put_short(&mut packed, queue.as_str());
    put_short(&mut packed, tenant.as_str());
    put_short(&mut packed, lane.name.as_str());
    // One that is named twice counts once.
    let scopes = || lane.scopes.iter().enumerate().filter(|(at, scope)| !lane.scopes[..*at].contains(scope));
    packed.push(u8::try_from(scopes().count()).unwrap_or(u8::MAX));
    for (_, scope) in scopes() {
        put_short(&mut packed, scope.as_str());
    }
    packed
}

/// Lanes and kinds of a batch, each named once.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    lanes: Vec<Vec<u8>>,
    lane_places: HashMap<Vec<u8>, usize>,
    kinds: Vec<JobKind>,
}

impl Tables {
    fn lane(&mut self, job: &NewJob) -> usize {
        let mut packed = lane(&job.queue, &job.tenant, &job.lane);
        packed.extend(job.priority.mark());
        if let Some(place) = self.lane_places.get(&packed) {
            return *place;
        }
        self.lanes.push(packed.clone());
        self.lane_places.insert(packed, self.lanes.len() - 1);
        self.lanes.len() - 1
    }

    fn kind(&mut self, kind: &JobKind) -> usize {
        if let Some(place) = self.kinds.iter().position(|known| known == kind) {
            return place;
        }
        self.kinds.push(kind.clone());
        self.kinds.len() - 1
    }

    /// Number of lanes, the lanes, number of kinds, the kinds.
    pub(crate) fn append_to(&self, args: &mut Vec<Vec<u8>>) {
        args.push(self.lanes.len().to_string().into_bytes());
        args.extend(self.lanes.iter().cloned());
        args.push(self.kinds.len().to_string().into_bytes());
        args.extend(self.kinds.iter().map(|kind| kind.as_str().as_bytes().to_vec()));
    }
}

/// Longest a unique key can be held by the clock.
const LONGEST_PERIOD: Duration = Duration::from_hours(366 * 24);

/// Refuses what scripts must never see.
pub(crate) fn check(job: &NewJob, shard: u16) -> Result<(), QueueError> {
    job.lane.check()?;
    if job.payload.len() > MAX_PAYLOAD_BYTES {
        return Err(QueueError::invalid(
            "payload",
            format!("{} bytes, at most {MAX_PAYLOAD_BYTES} are allowed", job.payload.len()),
        ));
    }
    if std::str::from_utf8(&job.payload).is_err() {
        return Err(QueueError::invalid("payload", "it is not text"));
    }
    if !(1..=u32::from(u16::MAX)).contains(&job.max_attempts) {
        return Err(QueueError::invalid("max_attempts", "expected 1 to 65535"));
    }
    let keys = [
        ("unique key", job.unique_key.as_ref().map(|key| &key.0)),
        ("idempotency key", job.idempotency_key.as_ref().map(|key| &key.key)),
    ];
    for (what, key) in keys {
        if key.is_some_and(|key| key.is_empty() || key.len() > MAX_KEY_BYTES) {
            return Err(QueueError::invalid(what, format!("expected 1 to {MAX_KEY_BYTES} bytes")));
        }
    }
    if job.idempotency_key.as_ref().is_some_and(|key| key.fingerprint.len() > MAX_KEY_BYTES) {
        return Err(QueueError::invalid("fingerprint", format!("expected at most {MAX_KEY_BYTES} bytes")));
    }
    if job.id.is_some_and(|id| id.shard() != shard) {
        return Err(QueueError::invalid("job id", "it belongs to another shard than its tenant"));
    }
    let Links { batch, parent, redriven_from, completes } = job.links;
    let linked = [batch.map(|batch| batch.0), parent, redriven_from, completes.map(|batch| batch.0)];
    if linked.into_iter().flatten().any(|id| id.shard() != shard) {
        return Err(QueueError::invalid("link", "it names something of another shard than its tenant's"));
    }
    if job.unique_key.is_none() && job.unique_for != UniqueFor::default() {
        return Err(QueueError::invalid("unique key", "it is missing, but how long to hold it is given"));
    }
    if matches!(job.unique_for, UniqueFor::Period(period) if period.is_zero() || period > LONGEST_PERIOD) {
        return Err(QueueError::invalid("unique period", "expected up to 366 days, and not nothing"));
    }
    Ok(())
}

fn keep_class(job: &NewJob) -> u8 {
    let seconds = job.keep.as_secs() + u64::from(job.keep.subsec_nanos() > 0);
    let keep = KEEP_SECONDS.iter().position(|class| *class >= seconds).unwrap_or(KEEP_SECONDS.len() - 1);
    u8::try_from(keep).unwrap_or_default()
}

/// A job as an item: id 14, flags B, keep class B, lane H, kind H, max attempts H, run at I6, then unique key, idempotency
/// key and fingerprint with their lengths H, then, if its flag says so, the section `more` of the record with its length I4,
/// then the payload.
pub(crate) fn item(job: &NewJob, id: JobId, tables: &mut Tables) -> Vec<u8> {
    let mut out = Vec::with_capacity(40 + job.payload.len());
    let (key, fingerprint) = job
        .idempotency_key
        .as_ref()
        .map_or(("", ""), |idempotency| (idempotency.key.as_str(), idempotency.fingerprint.as_str()));
    let unique = job.unique_key.as_ref().map_or("", |unique| unique.0.as_str());
    let mut flags = 0;
    if !unique.is_empty() {
        flags |= HAS_UNIQUE;
    }
    if !key.is_empty() {
        flags |= HAS_IDEMPOTENCY;
    }
    let more = more(job);
    if !more.is_empty() {
        flags |= HAS_MORE;
    }
    out.extend_from_slice(id.tail());
    out.push(flags);
    out.push(keep_class(job));
    put_u16(&mut out, tables.lane(job));
    put_u16(&mut out, tables.kind(&job.kind));
    put_u16(&mut out, usize::try_from(job.max_attempts).unwrap_or(usize::MAX));
    put_u48(&mut out, job.run_at.map_or(0, millis));
    put_short(&mut out, unique);
    put_short(&mut out, key);
    put_short(&mut out, fingerprint);
    if !more.is_empty() {
        out.extend_from_slice(&u32::try_from(more.len()).unwrap_or_default().to_be_bytes());
        out.extend_from_slice(&more);
    }
    out.extend_from_slice(&job.payload);
    out
}

/// The fields that few jobs have; `lua/lib/record.lua` lists them.
fn more(job: &NewJob) -> Vec<u8> {
    let mut out = Vec::new();
    let mut put = |letter: u8, value: &[u8]| {
        out.push(letter);
        put_u16(&mut out, value.len());
        out.extend_from_slice(value);
    };
    let Links { batch, parent, redriven_from, completes } = job.links;
    let links = [
        (b'b', batch.map(|batch| batch.0)),
        (b'p', parent),
        (b'o', redriven_from),
        (b'f', completes.map(|batch| batch.0)),
    ];
    for (letter, id) in links {
        if let Some(id) = id {
            put(letter, id.tail());
        }
    }
    if let Some(recipient) = &job.recipient {
        put(b'k', recipient.as_bytes());
    }
    match job.unique_for {
        UniqueFor::WaitingOrRunning => {}
        UniqueFor::Waiting => put(b'u', b"w"),
        UniqueFor::Replace => put(b'u', b"r"),
        UniqueFor::Period(period) => {
            let mut value = vec![b'p'];
            put_u48(&mut value, u64::try_from(period.as_millis()).unwrap_or_default());
            put(b'u', &value);
        }
    }
    out
}

/// A job by itself: its item, its lane and its kind.
pub(crate) fn alone(job: &NewJob, id: JobId) -> [Vec<u8>; 3] {
    let mut tables = Tables::default();
    let item = item(job, id, &mut tables);
    [item, tables.lanes.pop().unwrap_or_default(), job.kind.as_str().as_bytes().to_vec()]
}
