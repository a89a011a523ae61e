//! A job's life as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::StreamExt as _;
use postrider_queue::JobId;
use postrider_shared::roles::Permission;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Job, own};
use crate::app::App;
use crate::auth::{Standing, Tenant};
use crate::parameters::Path;
use crate::problem::Answer;

/// With this header a browser says which event it saw last.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// A silent connection gets a comment, so that whoever stands between knows that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a reader waits before it asks again after a lost connection.
const COME_BACK: Duration = Duration::from_secs(1);

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(events))
}

/// One event of the stream.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the stream in the OpenAPI document; axum writes it")]
struct JobEvent {
    /// Names the job as it is in this event: send it as `Last-Event-ID` to go on after it.
    id: Option<String>,
    /// `job`, or `stopping`: this server ends, ask again.
    event: String,
    /// The job as JSON, as `GET /v1/jobs/{id}` shows it.
    data: String,
}

/// Follow a job.
///
/// Server-sent events named `job`, each with the whole job: first as it is, then after every change of state or progress, so a reader
/// that was away misses no state. After a lost connection ask again, with the `id` of the last event as `Last-Event-ID` (browsers do):
/// what was seen does not come again. The stream ends when the job has; who asks again then is answered 204, after which browsers
/// stop asking. It also ends within seconds when the key is revoked, the access token runs out, the session ends or the tenant is
/// suspended: who asks again is told why. A reader that is slow gets the newest state and not all between. A server that stops says so
/// by an event named `stopping`. Every 15 seconds of silence a comment is sent.
#[utoipa::path(
    get, path = "/jobs/{id}/events", tag = "jobs", operation_id = "follow_job",
    params(
        ("id" = String, Path, description = "The job's id."),
        ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the event that was seen last.")
    ),
    responses(
        (status = 200, description = "The job's life.", body = JobEvent, content_type = "text/event-stream"),
        (status = 204, description = "The job has ended, and its end was seen.")
    ),
    security(("api_key" = ["jobs:read"]))
)]
async fn events(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Path(id): Path<JobId>,
    standing: Standing,
    headers: HeaderMap,
) -> Answer<Response> {
    let first = own(&app, tenant, id).await?;
    let ended = first.state.is_finished();
    let first = Seen::of(&first.into());
    let seen = headers.get(LAST_EVENT_ID).is_some_and(|id| id.as_bytes() == first.id.as_bytes());
    if seen && ended {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let changes = if ended { None } else { Some(app.queue().watch(id)) };
    let changes = futures::stream::iter(changes).flatten().map(|record| Seen::of(&record.into()));
    let mut last = seen.then(|| first.id.clone());
    // The first look of `watch` shows the same as ours, unless something happened between them.
    let news = futures::stream::iter([first]).chain(changes).filter_map(move |next| {
        let is_news = last.as_ref() != Some(&next.id);
        last = Some(next.id.clone());
        std::future::ready(is_news.then(|| next.event()))
    });
    let goodbye = {
        let app = app.clone();
        // Only if the process stops: after the job's end nobody shall come back.
        futures::stream::once(async move { app.stopping().is_cancelled().then(stopping) })
            .filter_map(std::future::ready)
    };
    let end = async move {
        tokio::select! {
            () = app.stopping().cancelled() => {}
            refused = standing.lost(&app, Permission::JobsRead) => {
                tracing::debug!(job.id = %id, reason = %refused.document().detail, "a stream ends: its reader may not go on");
            }
        }
    };
    let stream = news.take_until(end).chain(goodbye).map(Ok::<_, Infallible>);
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response())
}

/// A job as a reader sees it.
struct Seen {
    /// Follows from what is shown, so that every server gives the same.
    id: String,
    json: String,
}

impl Seen {
    fn of(job: &Job) -> Self {
        // A job always serialises; an empty event would only tell the reader to ask again.
        let json = serde_json::to_string(job).unwrap_or_default();
        Self { id: hex::encode(&Sha256::digest(json.as_bytes())[..12]), json }
    }

    fn event(self) -> Event {
        Event::default().event("job").id(self.id).retry(COME_BACK).data(self.json)
    }
}

fn stopping() -> Event {
    Event::default().event("stopping").retry(COME_BACK).data("{}")
}
