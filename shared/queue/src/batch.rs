//! Batches: many jobs with one progress and one end.
//!
//! A batch is opened, jobs that name it are enqueued by whoever and in any number of calls, and it is sealed when all of
//! them are in. When it is sealed and every one of its jobs has completed, was cancelled or died, its completion job is
//! enqueued in the very same step, so exactly once, whatever crashes. A job of the batch may add jobs to it while it runs,
//! by [`Done::then`](crate::Done::then) or otherwise.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{error::QueueError, id::JobId, name::Tenant};

const PREFIX: &str = "batch_";
const JOB_PREFIX: &str = "job_";

/// Identity of a batch: like a [`JobId`] it carries its shard. As text, and in JSON, `batch_` and 26 characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId(pub(crate) JobId);

impl BatchId {
    /// The shard whose keys hold this batch.
    pub const fn shard(&self) -> u16 {
        self.0.shard()
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        write!(f, "{PREFIX}{}", text.strip_prefix(JOB_PREFIX).unwrap_or(&text))
    }
}

impl fmt::Debug for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for BatchId {
    type Err = QueueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || QueueError::invalid("batch id", "expected `batch_` and 26 characters of Crockford base32");
        let digits = text.strip_prefix(PREFIX).ok_or_else(malformed)?;
        format!("{JOB_PREFIX}{digits}").parse().map(Self).map_err(|_| malformed())
    }
}

impl Serialize for BatchId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BatchId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What is known of a batch. Kept for 7 days after its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Its id.
    pub id: BatchId,
    /// Whose batch it is.
    pub tenant: Tenant,
    /// Jobs enqueued for it so far.
    pub total: u64,
    /// Of these: done.
    pub completed: u64,
    /// Of these: cancelled.
    pub cancelled: u64,
    /// Of these: failed for good. A redrive is a new job, outside of the batch.
    pub dead: u64,
    /// Whether everything is in, so that it ends when all its jobs have.
    pub sealed: bool,
    /// The job that is enqueued at its end, if it has one; once it ended, the one that stands for it if its unique key was taken.
    pub completion: Option<JobId>,
    /// When it was opened.
    pub opened_at: DateTime<Utc>,
    /// When its last job ended, once it was sealed.
    pub ended_at: Option<DateTime<Utc>>,
}
