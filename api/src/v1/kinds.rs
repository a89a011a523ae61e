//! The catalogue of job kinds.

use postrider_shared::jobs::{self, KindInfo, Submit};
use postrider_shared::roles::Permission;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::json::Json;

/// The operations on kinds.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// A kind of job.
#[derive(Debug, Serialize, ToSchema)]
pub struct Kind {
    /// Its name in submissions.
    #[serde(rename = "kind")]
    name: String,
    /// Earlier names, which are still understood.
    aliases: Vec<String>,
    /// What its jobs do.
    summary: String,
    /// The queue its jobs stand in.
    queue: String,
    /// What a caller must be permitted to submit it; null when only Postrider itself starts such jobs.
    submit_permission: Option<Permission>,
    /// Whether a submission may name a queue and a lane.
    chooses_lane: bool,
    /// After so many failed attempts a job is dead, unless it says otherwise.
    max_attempts: u32,
    /// Hard deadline of one attempt, in seconds.
    timeout_seconds: u64,
    /// How long a finished job can be read, in seconds.
    keep_seconds: u64,
    /// JSON Schema of the payload.
    #[schema(value_type = Object)]
    payload_schema: Value,
}

impl From<&KindInfo> for Kind {
    fn from(info: &KindInfo) -> Self {
        Self {
            name: info.kind.to_string(),
            aliases: info.aliases.iter().map(ToString::to_string).collect(),
            summary: info.summary.to_owned(),
            queue: info.queue.to_string(),
            submit_permission: match info.submit {
                Submit::Never => None,
                Submit::By(permission) => Some(permission),
            },
            chooses_lane: info.chooses_lane,
            max_attempts: info.max_attempts,
            timeout_seconds: info.timeout.as_secs(),
            keep_seconds: info.keep.as_secs(),
            payload_schema: info.schema.clone(),
        }
    }
}

/// All kinds.
#[derive(Debug, Serialize, ToSchema)]
pub struct Kinds {
    /// In no particular order.
    items: Vec<Kind>,
}

/// List the kinds of jobs, who may submit them and what their payloads are.
#[utoipa::path(
    get, path = "/kinds", tag = "kinds", operation_id = "list_kinds",
    responses((status = 200, description = "All kinds.", body = Kinds)),
    security(("api_key" = ["jobs:read"]))
)]
async fn list() -> Json<Kinds> {
    Json(Kinds { items: jobs::catalogue().iter().map(Kind::from).collect() })
}
