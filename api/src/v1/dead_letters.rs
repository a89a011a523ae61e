//! Dead letters: jobs that failed for good, kept until a person redrives or discards them.

mod bulk;
mod groups;

use axum::extract::State;
use chrono::{DateTime, Utc};
use postrider_shared::dead_letters::{self, DeadLetterFilter, DeadLetterState, Redriven, Unfit};
use postrider_shared::ids::{DeadLetterId, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Tenant;
use crate::json::{self, Json};
use crate::page::{Limit, Page, place};
use crate::parameters::{Path, Query};
use crate::problem::{Answer, Problem, ProblemType};
use crate::v1::jobs::{Attempt, shown_payload};

/// The operations on dead letters.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(bulk::router())
        .merge(groups::router())
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(redrive))
        .routes(routes!(discard))
}

/// A job that failed for good.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadLetter {
    /// Its id.
    id: DeadLetterId,
    /// The job that died.
    job_id: String,
    /// Tells deaths of one job apart.
    death_number: i64,
    /// What sort of job it was.
    kind: String,
    /// The queue it stood in.
    queue: String,
    /// What it was given; a text if it is no JSON, null if it is stored apart.
    payload: Value,
    /// Size in bytes of a payload that lies in the object store, because it has more than 256 KiB. A redrive keeps it.
    stored_payload_bytes: Option<u64>,
    /// How often it was tried.
    attempts: i32,
    /// How its last attempt failed.
    error: String,
    /// Letters of one group died of the same thing: see `GET /v1/dead-letters/groups`.
    group: String,
    /// The newest attempts that failed, at most ten, oldest first.
    history: Vec<Attempt>,
    /// When it died.
    died_at: DateTime<Utc>,
    /// Where the letter is.
    state: DeadLetterState,
    /// The job in its place.
    redriven_job_id: Option<String>,
    /// Why a redrive did not come about.
    note: Option<String>,
    /// When the letter last changed.
    updated_at: DateTime<Utc>,
}

impl From<dead_letters::DeadLetter> for DeadLetter {
    fn from(row: dead_letters::DeadLetter) -> Self {
        // An id that cannot be read is shown by its absence.
        let redriven_job_id = row.successor().ok().flatten().map(|job| job.to_string());
        let (payload, stored_payload_bytes) = shown_payload(&row.payload);
        Self {
            id: row.id,
            job_id: row.job_id,
            death_number: row.death_number,
            kind: row.kind,
            queue: row.queue,
            payload,
            stored_payload_bytes,
            attempts: row.attempts,
            error: row.error,
            group: row.error_group,
            history: serde_json::from_str(&row.history).unwrap_or_default(),
            died_at: row.died_at,
            state: row.state,
            redriven_job_id,
            note: row.note,
            updated_at: row.updated_at,
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DeadLettersQuery {
    /// Only letters in this state.
    state: Option<DeadLetterState>,
    /// Only letters of this kind of job.
    kind: Option<String>,
    /// Only letters of this queue.
    queue: Option<String>,
    /// Only letters of this group of errors.
    group: Option<String>,
    /// Only letters that died at this time or later.
    died_after: Option<DateTime<Utc>>,
    /// Only letters that died before this time.
    died_before: Option<DateTime<Utc>>,
    /// `next_cursor` of the page before; absent for the first page.
    cursor: Option<String>,
    /// Most items in the answer.
    #[serde(default)]
    #[param(value_type = u32, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
}

/// List the tenant's dead letters.
#[utoipa::path(
    get, path = "/dead-letters", tag = "dead letters", operation_id = "list_dead_letters",
    params(DeadLettersQuery),
    responses((status = 200, description = "Dead letters, the latest death first.", body = Page<DeadLetter>)),
    security(("api_key" = ["dead_letters:read"]))
)]
async fn list(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Query(query): Query<DeadLettersQuery>,
) -> Answer<Json<Page<DeadLetter>>> {
    let cursor = place(query.cursor.as_deref())?;
    let filter = DeadLetterFilter {
        state: query.state,
        kind: query.kind,
        queue: query.queue,
        group: query.group,
        died_after: query.died_after,
        died_before: query.died_before,
    };
    let page = app.stores().dead_letters.list(tenant, &filter, cursor, query.limit.into()).await?;
    Ok(Json(Page::of(page)))
}

/// Get a dead letter.
#[utoipa::path(
    get, path = "/dead-letters/{id}", tag = "dead letters", operation_id = "get_dead_letter",
    params(("id" = DeadLetterId, Path, description = "The letter's id.")),
    responses((status = 200, description = "The letter.", body = DeadLetter)),
    security(("api_key" = ["dead_letters:read"]))
)]
async fn get(State(app): State<App>, Tenant(tenant): Tenant, Path(id): Path<DeadLetterId>) -> Answer<Json<DeadLetter>> {
    Ok(Json(app.stores().dead_letters.get(tenant, id).await?.into()))
}

/// How to redrive.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Redrive {
    /// A corrected payload, instead of the one the job died with; at most 256 KiB.
    #[serde(default, deserialize_with = "json::unique_or_none")]
    #[schema(value_type = Option<Object>)]
    payload: Option<Value>,
    /// A JSON merge patch (RFC 7396) for the payload the job died with, instead of `payload`.
    #[serde(default, deserialize_with = "json::unique_or_none")]
    #[schema(value_type = Option<Object>)]
    patch: Option<Value>,
}

/// Redrive a dead letter: its job is enqueued again, once, however often this is asked.
#[utoipa::path(
    post, path = "/dead-letters/{id}/redrive", tag = "dead letters", operation_id = "redrive_dead_letter",
    params(("id" = DeadLetterId, Path, description = "The letter's id.")),
    request_body = Option<Redrive>,
    responses((status = 200, description = "The letter, with the job in its place.", body = DeadLetter)),
    security(("api_key" = ["dead_letters:write"]))
)]
async fn redrive(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Path(id): Path<DeadLetterId>,
    redrive: Option<Json<Redrive>>,
) -> Answer<Json<DeadLetter>> {
    let payload = match redrive.map(|Json(redrive)| (redrive.payload, redrive.patch)) {
        None | Some((None, None)) => None,
        Some((Some(payload), None)) => Some(corrected(&app, tenant, id, payload).await?),
        Some((None, Some(patch))) => Some(patched(&app, tenant, id, &patch).await?),
        Some((Some(_), Some(_))) => return Err(Problem::field("/patch", "Give a payload or a patch, not both.")),
    };
    match app.redriver().redrive(tenant, id, payload).await? {
        Redriven::Enqueued { letter, .. } => Ok(Json(letter.into())),
        Redriven::UniqueTaken { holder, .. } => {
            let detail = format!("Job {holder} holds this job's unique key; the letter stays dead.");
            Err(Problem::new(ProblemType::UniqueKeyTaken, detail).about_job(holder))
        }
        Redriven::Refused(letter) => {
            let note = letter.note.unwrap_or_default();
            Err(Problem::new(ProblemType::StateConflict, format!("The queue does not take this job: {note}.")))
        }
        Redriven::Discarded(_) => {
            Err(Problem::new(ProblemType::StateConflict, "The letter was discarded, so it cannot be redriven."))
        }
    }
}

/// Discard a dead letter: nobody wants its job. It stays in the list as `discarded` for a while.
#[utoipa::path(
    post, path = "/dead-letters/{id}/discard", tag = "dead letters", operation_id = "discard_dead_letter",
    params(("id" = DeadLetterId, Path, description = "The letter's id.")),
    responses((status = 200, description = "The letter, discarded.", body = DeadLetter)),
    security(("api_key" = ["dead_letters:write"]))
)]
async fn discard(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Path(id): Path<DeadLetterId>,
) -> Answer<Json<DeadLetter>> {
    Ok(Json(app.stores().dead_letters.discard(tenant, id).await?.into()))
}

/// The payload, if it fits the letter's kind.
async fn corrected(app: &App, tenant: TenantId, id: DeadLetterId, payload: Value) -> Answer<Vec<u8>> {
    let letter = app.stores().dead_letters.get(tenant, id).await?;
    Ok(dead_letters::fitting(tenant, &letter.kind, payload)?)
}

/// The letter's payload with a merge patch, if it fits the letter's kind.
async fn patched(app: &App, tenant: TenantId, id: DeadLetterId, patch: &Value) -> Answer<Vec<u8>> {
    must_be_an_object(patch)?;
    let letter = app.stores().dead_letters.get(tenant, id).await?;
    Ok(dead_letters::patched(tenant, &letter.kind, &letter.payload, patch)?)
}

/// Any other patch would take the place of the payload, whose form is an object.
fn must_be_an_object(patch: &Value) -> Answer<()> {
    if patch.is_object() { Ok(()) } else { Err(Problem::field("/patch", "A patch is a JSON object.")) }
}

impl From<Unfit> for Problem {
    fn from(reason: Unfit) -> Self {
        let kind = match reason {
            Unfit::Form(_) => ProblemType::InvalidPayload,
            Unfit::TooLarge { .. } => ProblemType::PayloadTooLarge,
        };
        Self::new(kind, reason.to_string())
    }
}
