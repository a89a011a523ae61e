//! What a problem's `type` resolves to.

use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Answer, Problem, ProblemType};
use crate::app::App;
use crate::json::Json;
use crate::parameters::Path;

/// The catalogue of problems for people.
pub fn pages() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}

/// An entry of the catalogue.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemDescription {
    /// As in the `type` of an error answer.
    #[serde(rename = "type")]
    kind: String,
    /// The status it is answered with.
    status: u16,
    /// What it means.
    title: String,
    /// What to do next.
    next: String,
}

impl From<ProblemType> for ProblemDescription {
    fn from(problem: ProblemType) -> Self {
        let entry = problem.entry();
        Self {
            kind: format!("/problems/{}", entry.slug),
            status: entry.status.as_u16(),
            title: entry.title.to_owned(),
            next: entry.next.to_owned(),
        }
    }
}

/// List all problems the API can answer with.
#[utoipa::path(
    get, path = "/problems", tag = "problems", operation_id = "list_problems",
    responses((status = 200, description = "The whole catalogue.", body = Vec<ProblemDescription>))
)]
async fn list() -> Json<Vec<ProblemDescription>> {
    Json(ProblemType::ALL.into_iter().map(Into::into).collect())
}

/// Describe a problem.
#[utoipa::path(
    get, path = "/problems/{slug}", tag = "problems", operation_id = "get_problem",
    params(("slug" = String, Path, description = "Last part of the problem's `type`.")),
    responses((status = 200, description = "The problem.", body = ProblemDescription))
)]
async fn get(Path(slug): Path<String>) -> Answer<Json<ProblemDescription>> {
    let problem = ProblemType::by_slug(&slug).ok_or_else(|| Problem::not_found("problem"))?;
    Ok(Json(problem.into()))
}
