//! Whether the process lives, whether it can serve, and its figures. Open to everybody who reaches the port.

use std::future::Future;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use postrider_queue::QueueClient;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::json::Json;
use crate::observe::milliseconds;

/// A dependency that has not answered by then counts as gone.
const PATIENCE: Duration = Duration::from_secs(2);

/// The operations for probes and scrapers.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz)).routes(routes!(metrics))
}

/// The process lives.
#[derive(Debug, Serialize, ToSchema)]
pub struct Alive {
    /// Always `ok`.
    status: &'static str,
    /// The version of the program.
    version: &'static str,
}

/// Whether the process lives.
#[utoipa::path(
    get, path = "/healthz", tag = "health", operation_id = "healthz",
    responses((status = 200, description = "It does.", body = Alive))
)]
async fn healthz() -> Json<Alive> {
    Json(Alive { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// Whether the process can serve.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// Whether all dependencies answer and the process is not stopping.
    ready: bool,
    /// Whether the process is on its way out.
    stopping: bool,
    /// Each dependency.
    dependencies: Vec<Dependency>,
}

/// Something the process needs.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Dependency {
    /// `database`, `redis` or `object_store`; where Redis is several servers, also `redis` and the address of each.
    name: String,
    /// Whether it answered.
    ready: bool,
    /// How long that took, in milliseconds.
    milliseconds: f64,
}

/// What the dependencies answered, and whether that is enough to serve.
#[derive(Debug, Clone)]
pub struct Dependencies {
    ready: bool,
    each: Vec<Dependency>,
}

impl Dependencies {
    async fn asked(app: &App) -> Self {
        let (database, redis, object_store) = tokio::join!(
            check("database", app.database().ping()),
            check_redis(app.queue()),
            check("object_store", app.objects().ping()),
        );
        let (redis, servers) = redis;
        let mut each = vec![database, redis, object_store];
        let ready = each.iter().all(|dependency| dependency.ready);
        each.extend(servers);
        Self { ready, each }
    }
}

/// Whether the process can serve, with each dependency named.
///
/// A full disk is not looked for: reading and submitting jobs go on then, and all processes are in the same state. What cannot be written
/// is answered 503.
#[utoipa::path(
    get, path = "/readyz", tag = "health", operation_id = "readyz",
    responses(
        (status = 200, description = "It can.", body = Readiness),
        (status = 503, description = "It cannot; the dependencies say why.", body = Readiness)
    )
)]
async fn readyz(State(app): State<App>) -> Response {
    // Anybody may ask, and no limit holds anybody off: however many do, the dependencies are asked one time after another.
    let Dependencies { ready, each: dependencies } = app.readiness().look(|| Dependencies::asked(&app)).await;
    let stopping = app.stopping().is_cancelled();
    let ready = ready && !stopping;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, stopping, dependencies })).into_response()
}

/// Of several servers one is enough to serve the tenants that live there: a process that can do so is ready, and names the one
/// that is missing.
async fn check_redis(queue: &QueueClient) -> (Dependency, Vec<Dependency>) {
    let started = Instant::now();
    let took = || milliseconds(started.elapsed());
    let Ok(states) = tokio::time::timeout(PATIENCE, queue.servers()).await else {
        tracing::warn!(dependency = "redis", waited_seconds = PATIENCE.as_secs(), "not ready: no answer");
        return (Dependency { name: "redis".to_owned(), ready: false, milliseconds: took() }, Vec::new());
    };
    for state in &states {
        if let Some(error) = &state.error {
            tracing::warn!(dependency = "redis", server = state.address, %error, "not ready");
        }
    }
    let ready = states.iter().any(|state| state.error.is_none());
    let redis = Dependency { name: "redis".to_owned(), ready, milliseconds: took() };
    let several = states.len() > 1;
    let each = states.into_iter().filter(|_| several).map(|state| Dependency {
        name: format!("redis {}", state.address),
        ready: state.error.is_none(),
        milliseconds: took(),
    });
    (redis, each.collect())
}

async fn check<E: std::error::Error>(name: &'static str, ping: impl Future<Output = Result<(), E>>) -> Dependency {
    let started = Instant::now();
    let ready = match tokio::time::timeout(PATIENCE, ping).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(dependency = name, error = %error, "not ready");
            false
        }
        Err(_) => {
            tracing::warn!(dependency = name, waited_seconds = PATIENCE.as_secs(), "not ready: no answer");
            false
        }
    };
    Dependency { name: name.to_owned(), ready, milliseconds: milliseconds(started.elapsed()) }
}

/// The figures of this process, and how full the queues are, for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "health", operation_id = "metrics",
    responses((status = 200, description = "The text format of Prometheus.", body = String, content_type = "text/plain"))
)]
async fn metrics(State(app): State<App>) -> Response {
    let text = app.metrics().await;
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
