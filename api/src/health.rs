//! Whether the process lives, whether it can serve, and its figures. Open to everybody who reaches the port.

use std::future::Future;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::json::Json;

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
#[derive(Debug, Serialize, ToSchema)]
pub struct Dependency {
    /// `database`, `redis` or `object_store`.
    name: &'static str,
    /// Whether it answered.
    ready: bool,
    /// How long that took, in milliseconds.
    milliseconds: f64,
}

/// Whether the process can serve, with each dependency named.
#[utoipa::path(
    get, path = "/readyz", tag = "health", operation_id = "readyz",
    responses(
        (status = 200, description = "It can.", body = Readiness),
        (status = 503, description = "It cannot; the dependencies say why.", body = Readiness)
    )
)]
async fn readyz(State(app): State<App>) -> Response {
    let (database, redis, object_store) = tokio::join!(
        check("database", app.database().ping()),
        check("redis", app.queue().ping()),
        check("object_store", app.objects().ping()),
    );
    let dependencies = vec![database, redis, object_store];
    let stopping = app.stopping().is_cancelled();
    let ready = !stopping && dependencies.iter().all(|dependency| dependency.ready);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, stopping, dependencies })).into_response()
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
            tracing::warn!(dependency = name, waited_ms = PATIENCE.as_millis(), "not ready: no answer");
            false
        }
    };
    Dependency { name, ready, milliseconds: started.elapsed().as_secs_f64() * 1000.0 }
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
