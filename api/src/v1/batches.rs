//! Batches: many jobs with one progress and one end.

use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use postrider_queue::{BatchId, MAX_PAYLOAD_BYTES};
use postrider_shared::ids::TenantId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::jobs::Submission;
use crate::app::App;
use crate::auth::{Caller, Tenant};
use crate::idempotency::Once;
use crate::json::Json;
use crate::parameters::Path;
use crate::problem::{Answer, Problem};

/// The operations on batches.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(open)).routes(routes!(get)).routes(routes!(seal))
}

/// A batch to be opened.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBatch {
    /// The job that is enqueued, once, when the batch is sealed and all its jobs have ended. It has no keys and is in no batch.
    on_end: Option<Submission>,
}

/// A batch and how far it is.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobBatch {
    /// Its id: give it to jobs as `batch_id`.
    #[schema(example = "batch_000G40R40M30E209185GR38E1W")]
    id: String,
    /// Jobs so far.
    total: u64,
    /// Of these: done.
    completed: u64,
    /// Of these: cancelled.
    cancelled: u64,
    /// Of these: failed for good. A redrive is a new job, outside of the batch.
    dead: u64,
    /// Whether all jobs are in.
    sealed: bool,
    /// The job that is, or will be, enqueued at its end.
    on_end_job_id: Option<String>,
    /// When it was opened.
    opened_at: DateTime<Utc>,
    /// When its last job ended, once it was sealed. It can be read for 7 more days.
    ended_at: Option<DateTime<Utc>>,
}

impl From<postrider_queue::Batch> for JobBatch {
    fn from(batch: postrider_queue::Batch) -> Self {
        Self {
            id: batch.id.to_string(),
            total: batch.total,
            completed: batch.completed,
            cancelled: batch.cancelled,
            dead: batch.dead,
            sealed: batch.sealed,
            on_end_job_id: batch.completion.map(|job| job.to_string()),
            opened_at: batch.opened_at,
            ended_at: batch.ended_at,
        }
    }
}

/// Open a batch.
///
/// Then submit jobs with its id as `batch_id`, in any number of requests, and seal it.
#[utoipa::path(
    post, path = "/batches", tag = "jobs", operation_id = "open_batch",
    request_body = Option<NewBatch>,
    responses((status = 201, description = "The batch.", body = JobBatch)),
    security(("api_key" = ["jobs:write"]))
)]
async fn open(
    State(app): State<App>,
    caller: Caller,
    Tenant(tenant): Tenant,
    once: Once,
    batch: Option<Json<NewBatch>>,
) -> Answer<(StatusCode, Json<JobBatch>)> {
    let on_end = batch.and_then(|Json(batch)| batch.on_end);
    let on_end = on_end.map(|submission| at_end(submission, &app, caller, tenant)).transpose()?;
    app.scopes().define_shares_of(&on_end).await?;
    let of = tenant.into();
    let id = once.id(|parts| app.queue().derived_batch_id(&of, parts), || app.queue().batch_id(&of));
    app.queue().open_batch(&of, id, on_end).await?;
    Ok((StatusCode::CREATED, Json(own(&app, tenant, id).await?)))
}

/// Its own keys, or a batch that has ended by then, could keep the job from being enqueued when the time comes, and nobody would
/// be told.
fn at_end(submission: Submission, app: &App, caller: Caller, tenant: TenantId) -> Answer<postrider_queue::NewJob> {
    let obstacles = [
        ("/on_end/unique_key", &submission.unique_key),
        ("/on_end/idempotency_key", &submission.idempotency_key),
        ("/on_end/batch_id", &submission.batch_id),
    ];
    if let Some((field, _)) = obstacles.into_iter().find(|(_, value)| value.is_some()) {
        let detail = "The job at the end of a batch is enqueued once by itself: it has no keys and is in no batch.";
        return Err(Problem::field(field, detail));
    }
    let mut job = submission.into_job(app, caller, tenant, None, MAX_PAYLOAD_BYTES)?;
    job.unique_key = None;
    Ok(job)
}

/// Get a batch.
#[utoipa::path(
    get, path = "/batches/{id}", tag = "jobs", operation_id = "get_batch",
    params(("id" = String, Path, description = "The batch's id.")),
    responses((status = 200, description = "The batch.", body = JobBatch)),
    security(("api_key" = ["jobs:read"]))
)]
async fn get(State(app): State<App>, Tenant(tenant): Tenant, Path(id): Path<BatchId>) -> Answer<Json<JobBatch>> {
    own(&app, tenant, id).await.map(Json)
}

/// Seal a batch: all its jobs are in, so it ends when they have. However often it is asked.
#[utoipa::path(
    post, path = "/batches/{id}/seal", tag = "jobs", operation_id = "seal_batch",
    params(("id" = String, Path, description = "The batch's id.")),
    responses((status = 200, description = "The batch, sealed.", body = JobBatch)),
    security(("api_key" = ["jobs:write"]))
)]
async fn seal(State(app): State<App>, Tenant(tenant): Tenant, Path(id): Path<BatchId>) -> Answer<Json<JobBatch>> {
    own(&app, tenant, id).await?;
    app.queue().seal_batch(&tenant.into(), id).await?;
    own(&app, tenant, id).await.map(Json)
}

/// The batch, if it is this tenant's.
async fn own(app: &App, tenant: TenantId, id: BatchId) -> Answer<JobBatch> {
    let tenant = postrider_queue::Tenant::from(tenant);
    let batch = app.queue().batch(id).await?.filter(|batch| batch.tenant == tenant);
    batch.map(Into::into).ok_or_else(|| Problem::not_found("batch"))
}
