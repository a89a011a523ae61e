use std::time::Duration;

use postrider_queue::{Job, JobKind, Lane, LaneName, QueueName};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Declared, Queue};
use crate::{dead_letters::DeadLetterFilter, scopes::Share, words::words};

words! {
    /// What is done with dead letters.
    "action on dead letters"
    enum DeadLetterAction {
        /// Their jobs are enqueued again.
        Redrive = "redrive",
        /// Nobody wants them.
        Discard = "discard",
    }
}

/// Redrives or discards all dead letters of a filter. Started by the API, which only enqueues.
///
/// The filter always ends at a time, so that a job that dies again is not redriven for ever.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SettleDeadLetters {
    #[schema(value_type = String, example = "redrive")]
    pub action: DeadLetterAction,
    #[schema(value_type = Object)]
    pub filter: DeadLetterFilter,
    /// At most so many.
    pub limit: u64,
    /// For a redrive: another payload for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub payload: Option<Value>,
    /// For a redrive: a JSON merge patch for each one's own payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub patch: Option<Value>,
    /// Only counts how many there are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Of the request that asked for it: what comes of it is recorded under the same one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Job for SettleDeadLetters {
    const KIND: JobKind = JobKind::new("settle_dead_letters");
    const QUEUE: QueueName = Queue::Upkeep.name();
    /// It waits for room in the queue, for as long as that takes within reason.
    const MAX_SNOOZES: u32 = 10_000;
    const TIMEOUT: Duration = Duration::from_hours(1);

    fn lane(&self) -> Lane {
        Lane::with_scopes(LaneName::default(), vec![Share::Clearing.scope()])
    }
}

impl Declared for SettleDeadLetters {
    const SUMMARY: &'static str = "Redrives or discards all dead letters of a filter.";
}
