//! A job as the API shows it.

use chrono::{DateTime, Utc};
use postrider_queue::JobRecord;
use postrider_shared::payloads::PayloadReference;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Priority, submission};

/// A job, its progress and how it ended.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Job {
    /// Names the job for ever.
    #[schema(example = "job_000G40R40M30E209185GR38E1W")]
    pub id: String,
    /// What sort of job it is.
    pub kind: String,
    /// The queue it stands in.
    pub queue: String,
    /// The lane of that queue.
    pub lane: String,
    /// Where it is in its life.
    pub state: JobState,
    /// Which of the tenant's jobs go first.
    pub priority: Priority,
    /// How often it was started, without returns and waits.
    pub attempt: u32,
    /// After so many failed attempts it is dead.
    pub max_attempts: u32,
    /// How often it waited without that counting as an attempt.
    pub snoozes: u32,
    /// Whether somebody asked it to stop while it runs.
    pub cancel_requested: bool,
    /// What it was given; null if that is stored apart.
    pub payload: Value,
    /// Size in bytes of a payload that lies in the object store, because it has more than 256 KiB.
    pub stored_payload_bytes: Option<u64>,
    /// What it gave back.
    pub output: Option<Value>,
    /// What it said about itself while running.
    pub progress: Option<Value>,
    /// How its last attempt failed.
    pub error: Option<String>,
    /// No second job may have this key for a time: see the submission's `unique_for`.
    pub unique_key: Option<String>,
    /// The batch it is counted in.
    pub batch_id: Option<String>,
    /// The job that started it.
    pub parent_id: Option<String>,
    /// The dead job in whose place it runs.
    pub redriven_from: Option<String>,
    /// Its newest attempts that failed, at most ten, oldest first; none once it is completed.
    pub history: Vec<Attempt>,
    /// Lines in its log: see `GET /v1/jobs/{id}/log`.
    pub log_lines: u32,
    /// When it was accepted.
    pub enqueued_at: DateTime<Utc>,
    /// When it may run, or might have.
    pub run_at: DateTime<Utc>,
    /// When its last attempt started.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// An attempt that failed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Why it failed, its first 300 bytes.
    pub error: String,
}

impl From<postrider_queue::Attempt> for Attempt {
    fn from(attempt: postrider_queue::Attempt) -> Self {
        Self {
            started_at: attempt.started_at,
            duration_ms: u64::try_from(attempt.duration.as_millis()).unwrap_or(u64::MAX),
            error: attempt.error,
        }
    }
}

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for its time.
    Scheduled,
    /// Waits for a worker.
    Available,
    /// A worker has it.
    Running,
    /// Failed, and waits for its next attempt.
    Retryable,
    /// Done.
    Completed,
    /// Stopped by request.
    Cancelled,
    /// Failed for good; it is among the dead letters.
    Dead,
}

impl From<postrider_queue::JobState> for JobState {
    fn from(state: postrider_queue::JobState) -> Self {
        use postrider_queue::JobState as Engine;
        match state {
            Engine::Scheduled => Self::Scheduled,
            Engine::Available => Self::Available,
            Engine::Running => Self::Running,
            Engine::Retryable => Self::Retryable,
            Engine::Completed => Self::Completed,
            Engine::Cancelled => Self::Cancelled,
            Engine::Dead => Self::Dead,
        }
    }
}

impl From<JobState> for postrider_queue::JobState {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Scheduled => Self::Scheduled,
            JobState::Available => Self::Available,
            JobState::Running => Self::Running,
            JobState::Retryable => Self::Retryable,
            JobState::Completed => Self::Completed,
            JobState::Cancelled => Self::Cancelled,
            JobState::Dead => Self::Dead,
        }
    }
}

/// The payload as it is shown, and the size of one that is stored apart. One that is no JSON, which can only come from another
/// program on the same Redis, is shown as a text.
pub(in crate::v1) fn shown_payload(payload: &[u8]) -> (Value, Option<u64>) {
    if let Some(reference) = PayloadReference::read(payload) {
        return (Value::Null, Some(reference.size));
    }
    let text = || Value::String(String::from_utf8_lossy(payload).into_owned());
    (serde_json::from_slice(payload).unwrap_or_else(|_| text()), None)
}

impl From<JobRecord> for Job {
    fn from(record: JobRecord) -> Self {
        let (payload, stored_payload_bytes) = shown_payload(&record.payload);
        Self {
            id: record.id.to_string(),
            kind: record.kind.to_string(),
            queue: record.queue.to_string(),
            lane: record.lane.name.to_string(),
            state: record.state.into(),
            priority: record.priority.into(),
            attempt: record.attempt,
            max_attempts: record.max_attempts,
            snoozes: record.snoozes,
            cancel_requested: record.cancel_requested,
            payload,
            stored_payload_bytes,
            output: record.output,
            progress: record.progress,
            error: record.error,
            unique_key: record.unique_key.map(|key| submission::shown_unique_key(&key.0, record.kind.as_str())),
            batch_id: record.links.batch.map(|batch| batch.to_string()),
            parent_id: record.links.parent.map(|parent| parent.to_string()),
            redriven_from: record.links.redriven_from.map(|job| job.to_string()),
            history: record.history.into_iter().map(Attempt::from).collect(),
            log_lines: record.log_lines,
            enqueued_at: record.enqueued_at,
            run_at: record.run_at,
            started_at: record.started_at,
            finished_at: record.finished_at,
        }
    }
}
