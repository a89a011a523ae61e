//! All routes and the layers around them.

use axum::extract::DefaultBodyLimit;
use axum::http::{Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::app::App;
use crate::audit::operations::Operations;
use crate::auth::access::{self, AccessError, Needs};
use crate::openapi::{Base, Document};
use crate::problem::{Problem, ProblemType};
use crate::{
    audit, auth, callback, cors, deadline, decision, headers, health, idempotency, json, leftover, limits, observe,
    problem, request_id, v1,
};

/// Why there is no router.
#[derive(Debug, thiserror::Error)]
pub enum RouterError {
    /// Nobody decided who may do an operation.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The OpenAPI document cannot be written.
    #[error("the OpenAPI document cannot be written")]
    Document(#[from] serde_json::Error),
}

/// The OpenAPI document of the whole API.
pub fn document() -> Result<Document, RouterError> {
    Ok(routes()?.document)
}

/// The whole API.
pub fn router(app: App) -> Result<Router, RouterError> {
    let Routes { open, private, needs, operations, document } = routes()?;
    let traffic = app.limits().config();
    let fixed_headers = headers::Fixed::of(traffic);
    let other_sites = cors::layer(&traffic.origins);
    let limited = middleware::from_fn_with_state(app.clone(), limits::outer);
    let private = private
        // Within the layer that replays requests, so that a replay leaves no second event.
        .route_layer(middleware::from_fn_with_state((app.clone(), operations), audit::layer))
        .route_layer(middleware::from_fn_with_state(app.clone(), idempotency::layer))
        .route_layer(middleware::from_fn_with_state(app.clone(), limits::inner))
        .route_layer(middleware::from_fn_with_state((app.clone(), needs), auth::layer));
    let text = serde_json::to_string(document.as_value())?;
    Ok(open
        .merge(private)
        .route(decision::PATH, get(decision::show).post(decision::decide))
        .route("/openapi.json", get(async move || ([(header::CONTENT_TYPE, "application/json")], text.clone())))
        .merge(SwaggerUi::new("/docs").config(Config::from("/openapi.json")))
        .fallback(no_such_path)
        .method_not_allowed_fallback(async || Problem::new(ProblemType::MethodNotAllowed, ""))
        .with_state(app)
        .layer(DefaultBodyLimit::max(json::MAX_BODY_BYTES))
        // The last layer is the outermost.
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(deadline::layer))
        .layer(limited)
        .layer(middleware::from_fn(observe::layer))
        .layer(other_sites)
        .layer(middleware::from_fn_with_state(fixed_headers, headers::layer))
        .layer(middleware::from_fn(problem::report))
        .layer(middleware::from_fn(request_id::layer))
        .layer(middleware::from_fn(leftover::layer)))
}

/// The routes with their description, before the layers.
struct Routes {
    /// For everybody.
    open: Router<App>,
    /// For those who may, behind the layer that asks.
    private: Router<App>,
    needs: Needs,
    operations: Operations,
    document: Document,
}

fn routes() -> Result<Routes, RouterError> {
    let (private, mut collected) =
        OpenApiRouter::with_openapi(Base::openapi()).nest("/v1", v1::router()).split_for_parts();
    let described = Document::of(&collected)?;
    let (needs, operations) = (Needs::of(&described)?, Operations::of_document(&described));
    let beside = health::router().merge(problem::pages()).merge(callback::router());
    let (open, described) = beside.nest("/v1", v1::open()).split_for_parts();
    access::check_open(&Document::of(&described)?)?;
    collected.merge(described);
    Ok(Routes { open, private, needs, operations, document: Document::of(&collected)? })
}

async fn no_such_path(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    Problem::new(ProblemType::NoSuchPath, format!("No operation has the path {path}."))
}

#[expect(clippy::needless_pass_by_value, reason = "the signature tower-http asks for")]
fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let words = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no words");
    Problem::internal(format!("panic: {words}")).into_response()
}
