//! All routes and the layers around them.

use axum::Router;
use axum::http::{Uri, header};
use axum::routing::get;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::app::App;
use crate::audit::operations::Operations;
use crate::auth::access::{self, AccessError, Needs};
use crate::openapi::{Base, Document};
use crate::problem::{Problem, ProblemType};
use crate::{decision, google_callback, health, layers, problem, v1};

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
    let open = layers::around_open(open, &app, operations.clone());
    let private = layers::around_private(private, &app, needs, operations);
    let text = serde_json::to_string(document.as_value())?;
    let all = open
        .merge(private)
        .route(decision::PATH, get(decision::show).post(decision::decide))
        .route("/openapi.json", get(async move || ([(header::CONTENT_TYPE, "application/json")], text.clone())))
        .merge(SwaggerUi::new("/docs").config(Config::from("/openapi.json")))
        .fallback(no_such_path)
        .method_not_allowed_fallback(async || Problem::new(ProblemType::MethodNotAllowed, ""))
        .with_state(app.clone());
    Ok(layers::around_all(all, app))
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
    let needs = Needs::of(&described)?;
    let beside = health::router().merge(problem::pages()).merge(google_callback::router());
    let (open, described) = beside.nest("/v1", v1::open()).split_for_parts();
    access::check_open(&Document::of(&described)?)?;
    collected.merge(described);
    let document = Document::of(&collected)?;
    Ok(Routes { open, private, needs, operations: Operations::of_document(&document), document })
}

async fn no_such_path(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    Problem::new(ProblemType::NoSuchPath, format!("No operation has the path {path}."))
}
