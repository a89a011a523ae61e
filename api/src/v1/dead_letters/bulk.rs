//! Many dead letters at once. The API only enqueues: a job does it, and shows how far it is.

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use postrider_queue::NewJob;
use postrider_shared::dead_letters::{self, DeadLetterFilter};
use postrider_shared::ids::TenantId;
use postrider_shared::jobs::{DeadLetterAction, SettleDeadLetters};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::jobs::{self, Accepted};
use super::must_be_an_object;
use crate::app::App;
use crate::auth::Tenant;
use crate::idempotency::Once;
use crate::json::{self, Json};
use crate::problem::{Answer, Problem, ProblemType};
use crate::request_id::RequestId;

/// Most letters of one request.
const MOST: u64 = 1_000_000;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(redrive_many)).routes(routes!(discard_many))
}

/// Which dead letters. What died after the request is never among them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeadLetterSelection {
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
    /// At most so many, the oldest first; 1,000,000 if absent.
    #[schema(minimum = 1, maximum = 1_000_000)]
    limit: Option<u64>,
    /// For a redrive of one kind: this payload for all of them, instead of those they died with.
    #[serde(default, deserialize_with = "json::unique_or_none")]
    #[schema(value_type = Option<Object>)]
    payload: Option<Value>,
    /// For a redrive: a JSON merge patch (RFC 7396) for the payload of each, instead of `payload`. A letter whose payload does not
    /// fit its kind afterwards stays dead, with a note.
    #[serde(default, deserialize_with = "json::unique_or_none")]
    #[schema(value_type = Option<Object>)]
    patch: Option<Value>,
    /// Changes nothing: the job's output says how many there are.
    #[serde(default)]
    dry_run: bool,
}

impl DeadLetterSelection {
    fn into_job(
        self,
        app: &App,
        tenant: TenantId,
        action: DeadLetterAction,
        request: &RequestId,
    ) -> Answer<SettleDeadLetters> {
        let limit = self.limit.unwrap_or(MOST);
        if !(1..=MOST).contains(&limit) {
            return Err(Problem::field("/limit", format!("limit must be 1 to {MOST}.")));
        }
        let now = app.clock().now();
        if let Some(payload) = &self.payload {
            if action == DeadLetterAction::Discard {
                return Err(Problem::field("/payload", "What is discarded needs no payload."));
            }
            let Some(kind) = &self.kind else {
                return Err(Problem::field("/payload", "A payload fits one kind only: name it."));
            };
            dead_letters::fitting(tenant, kind, payload.clone())?;
        }
        if self.patch.is_some() && (self.payload.is_some() || action == DeadLetterAction::Discard) {
            return Err(Problem::field("/patch", "A patch is for a redrive, and in the place of a payload."));
        }
        self.patch.as_ref().map(must_be_an_object).transpose()?;
        Ok(SettleDeadLetters {
            action,
            limit,
            payload: self.payload,
            patch: self.patch,
            dry_run: self.dry_run,
            request_id: Some(request.as_str().to_owned()),
            filter: DeadLetterFilter {
                state: None,
                kind: self.kind,
                queue: self.queue,
                group: self.group,
                died_after: self.died_after,
                died_before: Some(self.died_before.map_or(now, |before| before.min(now))),
            },
        })
    }
}

/// Redrive all dead letters of a selection.
///
/// The job in the answer does it, each letter once, in steps. Its progress, which can be followed by its events, says how many there
/// are (`total`) and how many are `done`: `settled` were enqueued again, `refused` stay dead, each with a note. Its output says so at
/// the end, with those that others settled meanwhile as `gone`. Where the queue has no room for more, those that are left stay dead, and
/// the job waits for room (`waits_for_room`) and goes on where it was. Cancelling the job ends it after its step.
#[utoipa::path(
    post, path = "/dead-letters/redrive", tag = "dead letters", operation_id = "redrive_dead_letters",
    request_body = DeadLetterSelection,
    responses((
        status = 202, description = "The job that does it.", body = Accepted,
        headers(("Location" = String, description = "Where the job can be followed."))
    )),
    security(("api_key" = ["dead_letters:write"]))
)]
async fn redrive_many(
    app: State<App>,
    tenant: Tenant,
    once: Once,
    request: Extension<RequestId>,
    selection: Json<DeadLetterSelection>,
) -> Answer<Response> {
    begin(app, tenant, (once, request), selection, DeadLetterAction::Redrive).await
}

/// Discard all dead letters of a selection. The job in the answer does it, and shows its progress as for a redrive.
#[utoipa::path(
    post, path = "/dead-letters/discard", tag = "dead letters", operation_id = "discard_dead_letters",
    request_body = DeadLetterSelection,
    responses((
        status = 202, description = "The job that does it.", body = Accepted,
        headers(("Location" = String, description = "Where the job can be followed."))
    )),
    security(("api_key" = ["dead_letters:write"]))
)]
async fn discard_many(
    app: State<App>,
    tenant: Tenant,
    once: Once,
    request: Extension<RequestId>,
    selection: Json<DeadLetterSelection>,
) -> Answer<Response> {
    begin(app, tenant, (once, request), selection, DeadLetterAction::Discard).await
}

async fn begin(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    (once, Extension(request)): (Once, Extension<RequestId>),
    Json(selection): Json<DeadLetterSelection>,
    action: DeadLetterAction,
) -> Answer<Response> {
    let job = selection.into_job(&app, tenant, action, &request)?;
    let job = NewJob::of(tenant.into(), &job)
        .map_err(|error| Problem::new(ProblemType::InvalidPayload, error.to_string()))?;
    jobs::answer(jobs::enqueue(&app, once.job(&app, job)).await?)
}
