use std::time::Duration;

use chrono::{DateTime, Utc};
use postrider_queue::{Job, JobKind, JobState, Lane, LaneName, ListFilter, QueueError, QueueName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Declared, Queue};
use crate::scopes::Share;

/// Which of a tenant's jobs that wait are meant. An empty filter means all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingJobs {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<JobState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<String>,
    /// Enqueued at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_after: Option<DateTime<Utc>>,
    /// Enqueued before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_before: Option<DateTime<Utc>>,
}

impl WaitingJobs {
    /// As the queue knows it; the error names what is no name.
    pub fn as_filter(&self) -> Result<ListFilter, QueueError> {
        Ok(ListFilter {
            kind: self.kind.as_deref().map(str::parse).transpose()?,
            state: self.state,
            queue: self.queue.as_deref().map(str::parse).transpose()?,
            lane: self.lane.as_deref().map(str::parse).transpose()?,
            batch: self.batch_id.as_deref().map(str::parse).transpose()?,
            created_after: self.created_after,
            created_before: self.created_before,
            oldest_first: false,
        })
    }
}

/// Cancels all jobs of a filter that wait. Started by the API, which only enqueues.
///
/// The filter always ends at a time, so that it does not cancel what is enqueued later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CancelJobs {
    #[schema(value_type = Object)]
    pub filter: WaitingJobs,
    /// Only counts how many there are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl Job for CancelJobs {
    const KIND: JobKind = JobKind::new("cancel_jobs");
    const QUEUE: QueueName = Queue::Upkeep.name();
    const TIMEOUT: Duration = Duration::from_hours(1);

    fn lane(&self) -> Lane {
        Lane::with_scopes(LaneName::default(), vec![Share::Cancelling.scope()])
    }
}

impl Declared for CancelJobs {
    const SUMMARY: &'static str = "Cancels all waiting jobs of a filter.";
}
