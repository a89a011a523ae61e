//! A job as the API shows it.

use serde::Deserialize;
use serde_json::Value;

/// What the API says to a submission.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Submitted {
    pub id: String,
    /// Whether an earlier submission with the same idempotency key made this job.
    pub existed: bool,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Job {
    pub id: String,
    pub kind: String,
    pub queue: String,
    pub lane: String,
    pub state: String,
    pub attempt: u32,
    pub max_attempts: u32,
    pub snoozes: u32,
    #[serde(default)]
    pub cancel_requested: bool,
    pub payload: Value,
    pub output: Option<Value>,
    pub progress: Option<Value>,
    pub error: Option<String>,
    pub unique_key: Option<String>,
    pub enqueued_at: String,
    pub run_at: String,
    pub started_at: Option<String>,
    pub finished_at: Option<String>,
}

impl Job {
    pub fn has_ended(&self) -> bool {
        matches!(self.state.as_str(), "completed" | "cancelled" | "dead")
    }
}
