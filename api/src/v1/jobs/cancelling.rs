//! Many waiting jobs at once. The API only enqueues: a job cancels them, and shows how far it is.

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use postrider_queue::{BatchId, NewJob};
use postrider_shared::jobs::{CancelJobs, WaitingJobs};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Accepted, answer, enqueue};
use crate::app::App;
use crate::auth::Tenant;
use crate::idempotency::Once;
use crate::json::Json;
use crate::problem::{Answer, Problem, ProblemType};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(cancel_many))
}

/// Where a job waits.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum WaitingState {
    /// For its time.
    Scheduled,
    /// For a worker.
    Available,
    /// For its next attempt.
    Retryable,
}

impl From<WaitingState> for postrider_queue::JobState {
    fn from(state: WaitingState) -> Self {
        match state {
            WaitingState::Scheduled => Self::Scheduled,
            WaitingState::Available => Self::Available,
            WaitingState::Retryable => Self::Retryable,
        }
    }
}

/// Which waiting jobs; all, if empty. What is enqueued after the request is never among them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobSelection {
    /// Only jobs that wait so.
    #[schema(inline)]
    state: Option<WaitingState>,
    /// Only jobs of this kind.
    kind: Option<String>,
    /// Only jobs of this queue.
    queue: Option<String>,
    /// Only jobs of this lane.
    lane: Option<String>,
    /// Only jobs counted in this batch.
    #[schema(value_type = Option<String>)]
    batch_id: Option<BatchId>,
    /// Only jobs enqueued at this time or later.
    created_after: Option<DateTime<Utc>>,
    /// Only jobs enqueued before this time.
    created_before: Option<DateTime<Utc>>,
    /// Cancels nothing: the job's output says how many there are.
    #[serde(default)]
    dry_run: bool,
}

/// Cancel all waiting jobs of a selection.
///
/// The job in the answer does it, in steps, however many they are. Its progress, which can be followed by its events, says how many
/// there are (`total`) and how many are `done`: `cancelled` will not run, `asked_to_stop` had begun to run meanwhile, `gone` had ended
/// meanwhile. Its output says so at the end. Cancelling the job ends it after its step; what is cancelled by then stays so. Messages
/// that cancelled jobs were to send are `skipped`.
#[utoipa::path(
    post, path = "/jobs/cancel", tag = "jobs", operation_id = "cancel_jobs",
    request_body = JobSelection,
    responses((
        status = 202, description = "The job that does it.", body = Accepted,
        headers(("Location" = String, description = "Where the job can be followed."))
    )),
    security(("api_key" = ["jobs:write"]))
)]
async fn cancel_many(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    once: Once,
    Json(selection): Json<JobSelection>,
) -> Answer<Response> {
    let now = app.clock().now();
    let filter = WaitingJobs {
        state: selection.state.map(Into::into),
        kind: selection.kind,
        queue: selection.queue,
        lane: selection.lane,
        batch_id: selection.batch_id.map(|batch| batch.to_string()),
        created_after: selection.created_after,
        created_before: Some(selection.created_before.map_or(now, |before| before.min(now))),
    };
    filter.as_filter().map_err(|error| Problem::new(ProblemType::InvalidBody, error.to_string()))?;
    let job = NewJob::of(tenant.into(), &CancelJobs { filter, dry_run: selection.dry_run });
    answer(enqueue(&app, once.job(&app, job.map_err(Problem::internal)?)).await?)
}
