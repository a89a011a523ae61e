//! What belongs to a job: its children, its log.

use axum::extract::State;
use chrono::{DateTime, Utc};
use postrider_queue::JobId;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Job, own};
use crate::app::App;
use crate::auth::Tenant;
use crate::json::Json;
use crate::parameters::Path;
use crate::problem::Answer;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(children)).routes(routes!(log))
}

/// Jobs that a job started.
#[derive(Debug, Serialize, ToSchema)]
pub struct Children {
    /// The newest first, at most 256, as far as they are kept.
    items: Vec<Job>,
}

/// List the jobs that a job started.
#[utoipa::path(
    get, path = "/jobs/{id}/children", tag = "jobs", operation_id = "list_children",
    params(("id" = String, Path, description = "The job's id.")),
    responses((status = 200, description = "Its children, newest first.", body = Children)),
    security(("api_key" = ["jobs:read"]))
)]
async fn children(State(app): State<App>, Tenant(tenant): Tenant, Path(id): Path<JobId>) -> Answer<Json<Children>> {
    own(&app, tenant, id).await?;
    let items = app.queue().children(id).await?.into_iter().map(Job::from).collect();
    Ok(Json(Children { items }))
}

/// What a job's handlers wrote.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobLog {
    /// Lines ever written; older ones than those shown are gone.
    written: u32,
    /// The newest lines, at most 200, oldest first.
    lines: Vec<LogLine>,
}

/// A line of a job's log.
#[derive(Debug, Serialize, ToSchema)]
pub struct LogLine {
    /// When it was written.
    at: DateTime<Utc>,
    /// What it says.
    text: String,
}

/// Read a job's log.
#[utoipa::path(
    get, path = "/jobs/{id}/log", tag = "jobs", operation_id = "get_job_log",
    params(("id" = String, Path, description = "The job's id.")),
    responses((status = 200, description = "Its newest lines.", body = JobLog)),
    security(("api_key" = ["jobs:read"]))
)]
async fn log(State(app): State<App>, Tenant(tenant): Tenant, Path(id): Path<JobId>) -> Answer<Json<JobLog>> {
    let record = own(&app, tenant, id).await?;
    let lines = app.queue().log(id).await?;
    let lines = lines.into_iter().map(|line| LogLine { at: line.at, text: line.text }).collect();
    Ok(Json(JobLog { written: record.log_lines, lines }))
}
