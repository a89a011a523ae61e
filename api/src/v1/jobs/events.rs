//! A job's life as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt as _};
use postrider_queue::JobId;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Job, own};
use crate::app::App;
use crate::auth::Tenant;
use crate::parameters::Path;
use crate::problem::Answer;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(events))
}

/// One event of the stream.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the stream in the OpenAPI document; axum writes it")]
struct JobEvent {
    /// Always `job`.
    event: String,
    /// The job as JSON, as `GET /v1/jobs/{id}` shows it.
    data: String,
}

/// Follow a job.
///
/// Server-sent events named `job`, each with the whole job: first as it is, then after every change of state or
/// progress. The stream ends when the job has; after a lost connection just ask again.
#[utoipa::path(
    get, path = "/jobs/{id}/events", tag = "jobs", operation_id = "follow_job",
    params(("id" = String, Path, description = "The job's id.")),
    responses((status = 200, description = "The job's life.", body = JobEvent, content_type = "text/event-stream")),
    security(("api_key" = ["jobs:read"]))
)]
async fn events(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Path(id): Path<JobId>,
) -> Answer<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let first = own(&app, tenant, id).await?;
    let ended = first.state.is_finished();
    let first = futures::stream::iter([first]);
    let changes = if ended { None } else { Some(app.queue().watch(id)) };
    let changes = futures::stream::iter(changes).flatten();
    let stopping = app.stopping().clone();
    let stream = first.chain(changes).map(|record| Ok(event(&record.into()))).take_until(stopping.cancelled_owned());
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

fn event(job: &Job) -> Event {
    // A job always serialises; an empty event would only tell the reader to ask again.
    Event::default().event("job").json_data(job).unwrap_or_default()
}
