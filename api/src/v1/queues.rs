//! Queues, which hold the jobs of all tenants and therefore belong to the platform's operators.

use axum::extract::State;
use postrider_queue::{QueueName, QueueStats};
use postrider_shared::jobs::Queue as KnownQueue;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::json::Json;
use crate::parameters::Path;
use crate::problem::{Answer, Problem};

/// The operations on queues.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get)).routes(routes!(pause)).routes(routes!(resume))
}

/// A queue at a glance, over all tenants.
#[derive(Debug, Serialize, ToSchema)]
pub struct Queue {
    /// Its name.
    name: String,
    /// Whether workers take nothing from it.
    paused: bool,
    /// Jobs that wait for a worker, for the limits of a scope, or for a suspended tenant to be activated.
    available: u64,
    /// Jobs that wait for their time.
    scheduled: u64,
    /// Failed jobs that wait for their next attempt.
    retryable: u64,
    /// Jobs that workers hold.
    running: u64,
    /// Dead jobs on their way to the dead letters.
    dead: u64,
    /// Completed jobs that can still be read.
    completed: u64,
    /// Lanes with jobs in them.
    lanes: u64,
    /// Lanes that wait for a limit.
    parked_lanes: u64,
    /// How long the oldest available job has waited, in seconds; but for those of suspended tenants.
    oldest_age_seconds: Option<f64>,
    /// Parts of the queue that are not in these figures, because one of several Redis servers does not answer.
    missing_shards: u16,
}

impl From<QueueStats> for Queue {
    fn from(stats: QueueStats) -> Self {
        Self {
            name: stats.name.to_string(),
            paused: stats.paused,
            available: stats.available,
            scheduled: stats.scheduled,
            retryable: stats.retryable,
            running: stats.running,
            dead: stats.dead,
            completed: stats.completed,
            lanes: stats.lanes,
            parked_lanes: stats.parked_lanes,
            oldest_age_seconds: stats.oldest_age.map(|age| age.as_secs_f64()),
            missing_shards: stats.missing_shards,
        }
    }
}

/// All queues.
#[derive(Debug, Serialize, ToSchema)]
pub struct Queues {
    /// By name.
    items: Vec<Queue>,
}

/// List all queues.
#[utoipa::path(
    get, path = "/queues", tag = "queues", operation_id = "list_queues",
    responses((status = 200, description = "All queues.", body = Queues)),
    security(("api_key" = ["queues:read"]))
)]
async fn list(State(app): State<App>) -> Answer<Json<Queues>> {
    let mut stats = app.queue().queues().await?;
    for known in KnownQueue::ALL {
        let name = known.name();
        if !stats.iter().any(|stats| stats.name == name) {
            stats.push(app.queue().queue(&name).await?);
        }
    }
    stats.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Json(Queues { items: stats.into_iter().map(Queue::from).collect() }))
}

/// Get a queue.
#[utoipa::path(
    get, path = "/queues/{queue}", tag = "queues", operation_id = "get_queue",
    params(("queue" = String, Path, description = "The queue's name.")),
    responses((status = 200, description = "The queue.", body = Queue)),
    security(("api_key" = ["queues:read"]))
)]
async fn get(State(app): State<App>, Path(name): Path<String>) -> Answer<Json<Queue>> {
    let name = existing(&app, name).await?;
    read(&app, &name).await
}

/// Pause a queue: workers finish what they hold and take nothing more from it. Jobs can still be submitted.
#[utoipa::path(
    post, path = "/queues/{queue}/pause", tag = "queues", operation_id = "pause_queue",
    params(("queue" = String, Path, description = "The queue's name.")),
    responses((status = 200, description = "The queue, paused.", body = Queue)),
    security(("api_key" = ["queues:write"]))
)]
async fn pause(State(app): State<App>, Path(name): Path<String>) -> Answer<Json<Queue>> {
    let name = existing(&app, name).await?;
    app.queue().pause(&name).await?;
    read(&app, &name).await
}

/// Resume a paused queue.
#[utoipa::path(
    post, path = "/queues/{queue}/resume", tag = "queues", operation_id = "resume_queue",
    params(("queue" = String, Path, description = "The queue's name.")),
    responses((status = 200, description = "The queue, no longer paused.", body = Queue)),
    security(("api_key" = ["queues:write"]))
)]
async fn resume(State(app): State<App>, Path(name): Path<String>) -> Answer<Json<Queue>> {
    let name = existing(&app, name).await?;
    app.queue().resume(&name).await?;
    read(&app, &name).await
}

async fn read(app: &App, name: &QueueName) -> Answer<Json<Queue>> {
    Ok(Json(app.queue().queue(name).await?.into()))
}

/// A queue of the product, or one that a diagnostic job made.
async fn existing(app: &App, name: String) -> Answer<QueueName> {
    let name = QueueName::parse(name).map_err(|_| Problem::not_found("queue"))?;
    let known = KnownQueue::ALL.iter().any(|known| known.name() == name);
    if known || app.queue().queues().await?.iter().any(|stats| stats.name == name) {
        return Ok(name);
    }
    Err(Problem::not_found("queue"))
}
