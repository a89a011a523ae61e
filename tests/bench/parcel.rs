//! The job that every contestant carries: 200 bytes of JSON with its number and, for latency, when it was sent.
//!
//! Its text differs from job to job, as texts do, so that nobody gains by seeing the same bytes again.

use std::fmt::Write as _;
use std::path::Path;

use postrider_queue::{Job, JobKind, NewJob, QueueName, Tenant};
use postrider_shared::clock::Clock;
use serde::{Deserialize, Serialize};

/// Length of the payload as JSON text.
pub const BYTES: usize = 200;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Parcel {
    pub number: u32,
    /// Microseconds since 1970, or 0 when nobody asks for latency.
    pub at: i64,
    pub text: String,
}

impl Job for Parcel {
    const KIND: JobKind = JobKind::new("parcel");
    const QUEUE: QueueName = QueueName::new("parcels");
}

impl Parcel {
    pub fn new(number: u32, at: i64) -> Self {
        let mut parcel = Self { number, at, text: String::new() };
        let bare = serde_json::to_string(&parcel).map_or(0, |json| json.len());
        parcel.text = letters(number, BYTES - bare);
        parcel
    }

    pub fn sent_now(number: u32) -> Self {
        Self::new(number, now_us())
    }

    /// As a job of one of `tenants` tenants, in turn.
    pub fn job(&self, tenants: u32) -> NewJob {
        let tenant = Tenant::parse(format!("bench-{}", self.number % tenants)).expect("a tenant's name");
        NewJob::of(tenant, self).expect("a job")
    }
}

/// Letters that follow from the number.
fn letters(number: u32, length: usize) -> String {
    let mut state = number.wrapping_mul(2_654_435_761).max(1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        char::from(b'a' + u8::try_from(state % 26).unwrap_or_default())
    };
    (0..length).map(|_| next()).collect()
}

pub fn now_us() -> i64 {
    Clock::system().now().timestamp_micros()
}

/// One run of a handler: the parcel's number, and microseconds from sending to starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    pub number: u32,
    pub waited_us: i64,
}

impl Run {
    pub fn of(parcel: &Parcel) -> Self {
        Self { number: parcel.number, waited_us: now_us() - parcel.at }
    }
}

/// Writes what a worker ran, one line each; the drivers of other languages write the same.
pub fn write_runs(path: &Path, runs: &[Run]) {
    let mut text = String::with_capacity(runs.len() * 20);
    for run in runs {
        let _ = writeln!(text, "{} {}", run.number, run.waited_us);
    }
    std::fs::write(path, text).expect("write the runs");
}

pub fn read_runs(path: &Path) -> Vec<Run> {
    let text = std::fs::read_to_string(path).expect("read the runs of a worker");
    let line = |line: &str| {
        let (number, waited) = line.split_once(' ')?;
        Some(Run { number: number.parse().ok()?, waited_us: waited.parse().ok()? })
    };
    text.lines().map(|text| line(text).unwrap_or_else(|| panic!("not a run: {text:?}"))).collect()
}
