//! How a run of a job ended.

use std::{fmt, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{error::QueueError, job::NewJob};

/// How a run of a job ended: done, or stopped for a reason. Errors convert into [`Stop`], so handlers just use `?`.
pub type Outcome = Result<Done, Stop>;

/// The job did its work.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Kept in the record for whoever asks; at most [`Done::MAX_OUTPUT_BYTES`].
    pub output: Option<Value>,
    /// Enqueued in the same step that completes this job: both or neither. Each must belong to the same tenant. At most 256, with
    /// 4 MiB of payloads together; with more, the job is dead and says so.
    pub then: Vec<NewJob>,
    /// What became of the cap units that were reserved for this run.
    pub cap: CapUse,
}

impl Done {
    /// Largest output, as JSON text. A larger one is dropped, and the record says so.
    pub const MAX_OUTPUT_BYTES: usize = 64 * 1024;

    /// Done, with nothing to tell.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Done, with an output. A value that has no JSON form is recorded as `{"unserializable": reason}`.
    pub fn with(output: impl Serialize) -> Self {
        let output = serde_json::to_value(output)
            .unwrap_or_else(|error| serde_json::json!({ "unserializable": error.to_string() }));
        Self { output: Some(output), ..Self::default() }
    }

    /// Adds a follow-up job.
    #[must_use]
    pub fn then(mut self, job: NewJob) -> Self {
        self.then.push(job);
        self
    }

    /// States what became of the reserved cap units.
    #[must_use]
    pub fn cap(mut self, cap: CapUse) -> Self {
        self.cap = cap;
        self
    }
}

impl From<Done> for Outcome {
    fn from(done: Done) -> Self {
        Ok(done)
    }
}

/// Why a run ended without the work being done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Stop {
    /// Try again: after the kind's back-off, or after the given time. Counts as an attempt; after the last one the job is dead.
    Retry {
        /// What went wrong, for the record.
        error: String,
        /// Instead of the back-off.
        after: Option<Duration>,
        /// What became of the reserved cap units.
        cap: CapUse,
    },
    /// It can never succeed: the job is dead.
    Fail {
        /// What went wrong, for the record.
        error: String,
        /// What became of the reserved cap units.
        cap: CapUse,
    },
    /// Not yet: later, and it does not count as an attempt.
    Snooze {
        /// Not before this time.
        until: DateTime<Utc>,
        /// What it waits for, for the record.
        reason: String,
        /// What became of the reserved cap units.
        cap: CapUse,
    },
    /// Cancelled, usually because somebody asked.
    Cancelled,
}

impl Stop {
    /// Try again after the back-off of the kind.
    pub fn retry(error: impl fmt::Display) -> Self {
        Self::Retry { error: error.to_string(), after: None, cap: CapUse::Default }
    }

    /// Try again after this time.
    pub fn retry_after(error: impl fmt::Display, after: Duration) -> Self {
        Self::Retry { error: error.to_string(), after: Some(after), cap: CapUse::Default }
    }

    /// Never again.
    pub fn fail(error: impl fmt::Display) -> Self {
        Self::Fail { error: error.to_string(), cap: CapUse::Default }
    }

    /// Later, without counting as an attempt.
    pub fn snooze(until: DateTime<Utc>, reason: impl fmt::Display) -> Self {
        Self::Snooze { until, reason: reason.to_string(), cap: CapUse::Default }
    }

    /// States what became of the reserved cap units.
    #[must_use]
    pub fn with_cap(mut self, used: CapUse) -> Self {
        match &mut self {
            Self::Retry { cap, .. } | Self::Fail { cap, .. } | Self::Snooze { cap, .. } => {
                *cap = used;
            }
            Self::Cancelled => {}
        }
        self
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry { error, .. } => write!(f, "retry: {error}"),
            Self::Fail { error, .. } => write!(f, "failed: {error}"),
            Self::Snooze { until, reason, .. } => write!(f, "snoozed until {until}: {reason}"),
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}

impl std::error::Error for Stop {}

/// Only what the job itself brought is held against it. A Redis that refuses this process (its password was changed, its user may
/// no longer do something) needs a person, and jobs wait for that.
impl From<QueueError> for Stop {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Invalid { .. } => Self::fail(error),
            QueueError::Unreachable(_)
            | QueueError::Refused(_)
            | QueueError::Full
            | QueueError::TooDeep { .. }
            | QueueError::Setting { .. }
            | QueueError::Shards { .. }
            | QueueError::Protocol { .. }
            | QueueError::Servers(_)
            | QueueError::Corrupt(_)
            | QueueError::LeaseLost
            | QueueError::Closed => Self::retry(error),
        }
    }
}

/// What became of the cap units that the claim reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum CapUse {
    /// Done: used now. Anything else: not used.
    #[default]
    Default,
    /// Used at this time, which picks the window that is charged.
    Used(DateTime<Utc>),
    /// Not used: freed at once.
    NotUsed,
    /// Nobody knows: stays charged in every window it may have fallen into; the next run reserves anew.
    Unknown,
}
