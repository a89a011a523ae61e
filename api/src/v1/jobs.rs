//! Jobs: submit, follow, list, cancel, retry.

mod apart;
mod batch;
mod cancelling;
mod events;
mod family;
mod priority;
mod submission;
mod view;
mod wait;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use postrider_queue::{BatchId, Cancelled, Enqueued, JobId, JobRecord, ListFilter, NewJob, Promoted, QueueError};
use postrider_shared::ids::TenantId;
use postrider_shared::jobs::SendEmail;
use postrider_shared::roles::Permission;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::{Caller, Standing, Tenant};
use crate::idempotency::{self, Once};
use crate::json::{self, Json};
use crate::page::{Limit, Page};
use crate::parameters::{Path, Query};
use crate::problem::{Answer, Problem, ProblemType};

pub use priority::Priority;
pub(super) use submission::accepted;
pub use submission::{Submission, UniqueHold};
pub(super) use view::shown_payload;
pub use view::{Attempt, Job, JobState};
pub use wait::Wait;

/// The operations on jobs.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(submit, list))
        .routes(routes!(get))
        .routes(routes!(cancel))
        .routes(routes!(retry))
        .merge(events::router())
        .merge(batch::router())
        .merge(cancelling::router())
        .merge(family::router())
}

/// What became of a submission.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Accepted {
    /// The job that does, or already did, what was asked.
    #[schema(example = "job_000G40R40M30E209185GR38E1W")]
    pub id: String,
    /// Whether an earlier submission made this job: one with the same idempotency key, or the one that was replaced.
    pub existed: bool,
    /// Whether the waiting job got the payload and time of this submission: see `unique_for`.
    pub replaced: bool,
}

/// Submit a job.
///
/// 202 means that the job is in the queue's log on disk. Which kinds exist, and what their payloads are, says
/// `GET /v1/kinds`. A payload above 256 KiB lies in the object store until the job is forgotten, and jobs show its size only.
#[utoipa::path(
    post, path = "/jobs", tag = "jobs", operation_id = "submit_job",
    request_body = Submission,
    responses((
        status = 202, description = "The job is in the queue.", body = Accepted,
        headers(("Location" = String, description = "Where the job can be followed."))
    )),
    security(("api_key" = ["jobs:write"]))
)]
async fn submit(State(app): State<App>, caller: Caller, Tenant(tenant): Tenant, request: Request) -> Answer<Response> {
    let key = idempotency::key(request.headers())?;
    let submission: Submission = json::of(request).await?;
    let mut job = submission.into_job(&app, caller, tenant, key, app.payload_limit())?;
    let apart = apart::store(&app, tenant, &mut job).await?;
    let enqueued = enqueue(&app, job).await;
    if let Some(apart) = apart {
        apart.settle(&app, &enqueued).await;
    }
    answer(enqueued?)
}

/// Enqueues a job whose lane may name shares of its tenant: they are there before it is.
pub async fn enqueue(app: &App, job: NewJob) -> Result<Enqueued, QueueError> {
    app.scopes().define_shares_of([&job]).await?;
    app.queue().enqueue(job).await
}

/// 202 with the job and where it can be followed.
pub fn answer(enqueued: Enqueued) -> Answer<Response> {
    let accepted = submission::accepted(enqueued)?;
    let location = format!("/v1/jobs/{}", accepted.id);
    let mut response = (StatusCode::ACCEPTED, Json(accepted)).into_response();
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_str(&location).map_err(Problem::internal)?);
    Ok(response)
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct JobQuery {
    /// Wait for the job to end, at most so long: `30s`, `500ms`; at most 60 s. The answer is the job as it is then.
    #[param(value_type = Option<String>, example = "30s")]
    wait: Option<Wait>,
}

/// Get a job, at once or when it has ended.
#[utoipa::path(
    get, path = "/jobs/{id}", tag = "jobs", operation_id = "get_job",
    params(("id" = String, Path, description = "The job's id."), JobQuery),
    responses((status = 200, description = "The job.", body = Job)),
    security(("api_key" = ["jobs:read"]))
)]
async fn get(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Path(id): Path<JobId>,
    standing: Standing,
    Query(query): Query<JobQuery>,
) -> Answer<Json<Job>> {
    let record = own(&app, tenant, id).await?;
    let Some(Wait(wait)) = query.wait.filter(|_| !record.state.is_finished()) else {
        return Ok(Json(record.into()));
    };
    let ended = tokio::select! {
        ended = app.queue().wait(id, wait) => ended?,
        () = app.stopping().cancelled() => app.queue().get(id).await?,
        refused = standing.lost(&app, Permission::JobsRead) => return Err(refused),
    };
    Ok(Json(ended.unwrap_or(record).into()))
}

/// Which jobs a list has.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct JobsQuery {
    /// Only jobs in this state.
    state: Option<JobState>,
    /// Only jobs of this kind.
    kind: Option<String>,
    /// Only jobs of this queue.
    queue: Option<String>,
    /// Only jobs of this lane.
    lane: Option<String>,
    /// Only jobs counted in this batch.
    #[param(value_type = Option<String>)]
    batch_id: Option<BatchId>,
    /// Only jobs enqueued at this time or later.
    created_after: Option<DateTime<Utc>>,
    /// Only jobs enqueued before this time.
    created_before: Option<DateTime<Utc>>,
    /// Which come first.
    #[serde(default)]
    #[param(inline, default = "newest")]
    sort: JobOrder,
    /// `next_cursor` of the page before; absent for the first page.
    cursor: Option<String>,
    /// Most items in the answer.
    #[serde(default)]
    #[param(value_type = u32, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
}

/// Which jobs of a list come first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum JobOrder {
    /// Those enqueued last.
    #[default]
    Newest,
    /// Those enqueued first.
    Oldest,
}

impl JobsQuery {
    /// As the queue knows it.
    pub fn filter(&self) -> Answer<ListFilter> {
        Ok(ListFilter {
            kind: self.kind.as_deref().map(str::parse).transpose().map_err(|error| invalid(&error))?,
            state: self.state.map(Into::into),
            queue: self.queue.as_deref().map(str::parse).transpose().map_err(|error| invalid(&error))?,
            lane: self.lane.as_deref().map(str::parse).transpose().map_err(|error| invalid(&error))?,
            batch: self.batch_id,
            created_after: self.created_after,
            created_before: self.created_before,
            oldest_first: self.sort == JobOrder::Oldest,
        })
    }
}

fn invalid(error: &postrider_queue::QueueError) -> Problem {
    Problem::new(ProblemType::InvalidQuery, error.to_string())
}

/// List jobs.
///
/// The list reaches back to the newest 1,000 jobs of each kind and the newest 10,000 of all kinds at least; a job's own id finds it for
/// as long as it is kept. A cursor keeps its place while jobs come and go: newest first, what comes later is on no later page. A
/// page looks at a bounded number of jobs, so with a narrow filter it may have fewer than `limit`, even none, and a successor.
#[utoipa::path(
    get, path = "/jobs", tag = "jobs", operation_id = "list_jobs",
    params(JobsQuery),
    responses((status = 200, description = "Jobs, newest first unless asked otherwise.", body = Page<Job>)),
    security(("api_key" = ["jobs:read"]))
)]
async fn list(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Query(query): Query<JobsQuery>,
) -> Answer<Json<Page<Job>>> {
    let listed = app.queue().list(&tenant.into(), &query.filter()?, query.cursor, query.limit.into()).await;
    let page = listed.map_err(|error| match error {
        // All that can be invalid here came in the query.
        error @ postrider_queue::QueueError::Invalid { .. } => invalid(&error),
        error => error.into(),
    })?;
    Ok(Json(Page { items: page.items.into_iter().map(Job::from).collect(), next_cursor: page.next }))
}

/// Cancel a job.
///
/// A job that waits is cancelled at once. One that runs is asked to stop, and the answer shows `cancel_requested`. The message that a
/// `send_email` job was to send is `skipped`, and its quote `failed`, unless it may have been handed over already. If it
/// may lie in a draft still, that is deleted, and it is `skipped` then.
#[utoipa::path(
    post, path = "/jobs/{id}/cancel", tag = "jobs", operation_id = "cancel_job",
    params(("id" = String, Path, description = "The job's id.")),
    responses((status = 200, description = "The job, cancelled or asked to stop.", body = Job)),
    security(("api_key" = ["jobs:write"]))
)]
async fn cancel(State(app): State<App>, Tenant(tenant): Tenant, Path(id): Path<JobId>) -> Answer<Json<Job>> {
    let record = own(&app, tenant, id).await?;
    let has_ended = matches!(record.state, postrider_queue::JobState::Completed | postrider_queue::JobState::Dead);
    if let Some(message) = SendEmail::message_of(record.kind.as_str(), &record.payload).filter(|_| !has_ended) {
        app.stores().messages.withdraw(tenant, message).await?;
    }
    match app.queue().cancel(id).await? {
        Cancelled::Now | Cancelled::Requested => own(&app, tenant, id).await.map(|record| Json(record.into())),
        Cancelled::AlreadyFinished(postrider_queue::JobState::Cancelled) => {
            own(&app, tenant, id).await.map(|record| Json(record.into()))
        }
        Cancelled::AlreadyFinished(state) => {
            Err(Problem::new(ProblemType::StateConflict, format!("The job has ended: it is {state}.")))
        }
        Cancelled::NotFound => Err(Problem::not_found("job")),
    }
}

/// Run a waiting job now.
///
/// For a job that is scheduled or waits for its next attempt. A dead one is redriven: see `/v1/dead-letters`.
#[utoipa::path(
    post, path = "/jobs/{id}/retry", tag = "jobs", operation_id = "retry_job",
    params(("id" = String, Path, description = "The job's id.")),
    responses((status = 202, description = "The job may run now.", body = Job)),
    security(("api_key" = ["jobs:write"]))
)]
async fn retry(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Path(id): Path<JobId>,
    once: Once,
) -> Answer<(StatusCode, Json<Job>)> {
    let record = own(&app, tenant, id).await?;
    if once.seed().is_some() && is_waiting(record.state) {
        // Binds what follows to the request: a repeat whose first answer was lost finds a job that does not wait any more.
        app.database().write().await?.commit().await?;
    }
    match app.queue().promote(id).await? {
        Promoted::Now => {}
        Promoted::NotWaiting(_) if once.is_done() => {}
        Promoted::NotWaiting(state) => return Err(not_waiting(state)),
        Promoted::NotFound => return Err(Problem::not_found("job")),
    }
    let record = own(&app, tenant, id).await?;
    Ok((StatusCode::ACCEPTED, Json(record.into())))
}

/// Whether it waits for a time.
fn is_waiting(state: postrider_queue::JobState) -> bool {
    use postrider_queue::JobState as Engine;
    match state {
        Engine::Scheduled | Engine::Retryable => true,
        Engine::Available | Engine::Running | Engine::Completed | Engine::Cancelled | Engine::Dead => false,
    }
}

fn not_waiting(state: postrider_queue::JobState) -> Problem {
    use postrider_queue::JobState as Engine;
    let detail = match state {
        Engine::Dead => "The job is dead: redrive its dead letter.".to_owned(),
        Engine::Available | Engine::Running => format!("The job needs no retry: it is {state}."),
        Engine::Scheduled | Engine::Retryable | Engine::Completed | Engine::Cancelled => {
            format!("The job cannot be retried: it is {state}.")
        }
    };
    Problem::new(ProblemType::StateConflict, detail)
}

/// The job, if it is this tenant's.
async fn own(app: &App, tenant: TenantId, id: JobId) -> Answer<JobRecord> {
    let record = app.queue().get(id).await?;
    let own = postrider_queue::Tenant::from(tenant);
    record.filter(|record| record.tenant == own).ok_or_else(|| Problem::not_found("job"))
}
