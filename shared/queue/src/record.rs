//! What is known of a job: its record.

use std::{fmt, str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    batch::BatchId,
    error::QueueError,
    id::JobId,
    job::{Links, UniqueFor, UniqueKey},
    lane::Lane,
    name::{JobKind, LaneName, QueueName, Tenant},
    priority::Priority,
    recipient::RecipientKey,
};

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for a time.
    Scheduled,
    /// Waits for a worker.
    Available,
    /// A worker holds it.
    Running,
    /// Failed, and waits for its next attempt.
    Retryable,
    /// Done.
    Completed,
    /// Cancelled before it was done.
    Cancelled,
    /// Failed for good; a dead letter.
    Dead,
}

impl JobState {
    /// All states, in the order of a job's life.
    pub const ALL: [Self; 7] = [
        Self::Scheduled,
        Self::Available,
        Self::Running,
        Self::Retryable,
        Self::Completed,
        Self::Cancelled,
        Self::Dead,
    ];

    /// The state's name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Available => "available",
            Self::Running => "running",
            Self::Retryable => "retryable",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Dead => "dead",
        }
    }

    /// Whether it will never run again.
    pub fn is_finished(self) -> bool {
        match self {
            Self::Completed | Self::Cancelled | Self::Dead => true,
            Self::Scheduled | Self::Available | Self::Running | Self::Retryable => false,
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for JobState {
    type Err = QueueError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| QueueError::invalid("job state", format!("{text:?} is none of the seven states")))
    }
}

/// Everything Redis knows of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobRecord {
    /// Its id.
    pub id: JobId,
    /// Whose job it is.
    pub tenant: Tenant,
    /// Its kind.
    pub kind: JobKind,
    /// The queue it waits in.
    pub queue: QueueName,
    /// The lane it stands in.
    pub lane: Lane,
    /// Which of the tenant's jobs go first.
    #[serde(default)]
    pub priority: Priority,
    /// Where it is in its life.
    pub state: JobState,
    /// Runs that count so far, including one under way.
    pub attempt: u32,
    /// Attempts in all.
    pub max_attempts: u32,
    /// Times it put itself off.
    pub snoozes: u32,
    /// How often it was claimed, whatever came of it; the fence of its lease.
    pub epoch: u32,
    /// Process crashes while its handler ran, since its last run that ended.
    pub crashes: u32,
    /// Whether somebody asked a running job to stop.
    pub cancel_requested: bool,
    /// JSON text. Empty once the job is completed: only its status is kept.
    pub payload: Vec<u8>,
    /// What the handler returned.
    pub output: Option<Value>,
    /// What the handler last reported.
    pub progress: Option<Value>,
    /// The last error, or the reason of the last snooze.
    pub error: Option<String>,
    /// When it was created.
    pub enqueued_at: DateTime<Utc>,
    /// Not before this time it runs next.
    pub run_at: DateTime<Utc>,
    /// When its last run began.
    pub started_at: Option<DateTime<Utc>>,
    /// When the cap units were reserved that it holds, if it holds any: for its last run, or for one before that was cut off.
    #[serde(skip)]
    pub reserved_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// The unique key it holds or held.
    pub unique_key: Option<UniqueKey>,
    /// How it holds it.
    #[serde(default)]
    pub unique_for: UniqueFor,
    /// How it belongs together with others.
    #[serde(default)]
    pub links: Links,
    /// Whom it is for. Gone once it is completed.
    #[serde(default)]
    pub recipient: Option<RecipientKey>,
    /// Its newest attempts that failed, at most 10, oldest first. Gone once it is completed.
    #[serde(default)]
    pub history: Vec<Attempt>,
    /// Lines that its handlers wrote into its log, in all; the newest 200 are kept.
    #[serde(default)]
    pub log_lines: u32,
}

/// An attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it was claimed.
    pub started_at: DateTime<Utc>,
    /// How long it took.
    #[serde(rename = "duration_ms", with = "millis")]
    pub duration: Duration,
    /// Why it failed, its first 300 bytes.
    pub error: String,
}

/// A line of a job's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it was written, by Redis's clock.
    pub at: DateTime<Utc>,
    /// What the handler said.
    pub text: String,
}

/// A duration as whole milliseconds.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

/// A job that failed for good and waits in Redis for its row in a database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The job.
    pub record: JobRecord,
    /// Distinguishes deaths of one id; unique and rising within the shard.
    pub death_number: u64,
    /// Why it died.
    pub error: String,
    /// Runs it had.
    pub attempts: u32,
    /// When it died.
    pub died_at: DateTime<Utc>,
}

/// Which jobs to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// Only of this kind.
    pub kind: Option<JobKind>,
    /// Only in this state.
    pub state: Option<JobState>,
    /// Only of this queue.
    pub queue: Option<QueueName>,
    /// Only of the lane of this name.
    pub lane: Option<LaneName>,
    /// Only those counted in this batch.
    pub batch: Option<BatchId>,
    /// Only those enqueued at this time or later.
    pub created_after: Option<DateTime<Utc>>,
    /// Only those enqueued before this time.
    pub created_before: Option<DateTime<Utc>>,
    /// The oldest first, instead of the newest.
    pub oldest_first: bool,
}

/// Part of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The items, newest first. May be fewer than asked for even when more follow.
    pub items: Vec<T>,
    /// Where the next page begins; none on the last page.
    pub next: Option<String>,
}

/// What became of a request to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cancelled {
    /// It was waiting and will not run.
    Now,
    /// It is running; its handler has been asked to stop.
    Requested,
    /// It had ended already, like this.
    AlreadyFinished(JobState),
    /// There is no such job.
    NotFound,
}

/// What became of a request to run a waiting job now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Promoted {
    /// It is available now.
    Now,
    /// It was not waiting for a time, but in this state.
    NotWaiting(JobState),
    /// There is no such job.
    NotFound,
}
