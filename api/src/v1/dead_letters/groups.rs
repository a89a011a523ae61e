//! Dead letters by what they died of.

use axum::extract::State;
use chrono::{DateTime, Utc};
use postrider_shared::dead_letters::{self, DeadLetterFilter, DeadLetterState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Tenant;
use crate::json::Json;
use crate::parameters::Query;
use crate::problem::Answer;

/// Most groups in an answer: whoever has more looks at the largest.
const MOST: u64 = 200;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Dead letters of one kind that died of the same thing.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadLetterGroup {
    /// Stable name of the group: it follows from kind and error, without ids, numbers and addresses.
    #[schema(example = "9f86d081884c7d65")]
    group: String,
    /// What sort of job died.
    kind: String,
    /// How many letters there are.
    count: u64,
    /// When the first of them died.
    first_died_at: DateTime<Utc>,
    /// When the last of them died.
    last_died_at: DateTime<Utc>,
    /// One of the errors.
    error: String,
}

impl From<dead_letters::DeadLetterGroup> for DeadLetterGroup {
    fn from(group: dead_letters::DeadLetterGroup) -> Self {
        Self {
            group: group.error_group,
            kind: group.kind,
            count: group.letters.unsigned_abs(),
            first_died_at: group.first_died_at,
            last_died_at: group.last_died_at,
            error: group.error,
        }
    }
}

/// The groups, the largest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadLetterGroups {
    /// At most 200.
    items: Vec<DeadLetterGroup>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct GroupsQuery {
    /// Only letters in this state; `dead` if absent.
    state: Option<DeadLetterState>,
    /// Only letters of this kind of job.
    kind: Option<String>,
    /// Only letters of this queue.
    queue: Option<String>,
    /// Only letters that died at this time or later.
    died_after: Option<DateTime<Utc>>,
    /// Only letters that died before this time.
    died_before: Option<DateTime<Utc>>,
}

/// List the tenant's dead letters by error.
#[utoipa::path(
    get, path = "/dead-letters/groups", tag = "dead letters", operation_id = "list_dead_letter_groups",
    params(GroupsQuery),
    responses((status = 200, description = "Groups, the largest first.", body = DeadLetterGroups)),
    security(("api_key" = ["dead_letters:read"]))
)]
async fn list(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Query(query): Query<GroupsQuery>,
) -> Answer<Json<DeadLetterGroups>> {
    let filter = DeadLetterFilter {
        state: query.state.or(Some(DeadLetterState::Dead)),
        kind: query.kind,
        queue: query.queue,
        group: None,
        died_after: query.died_after,
        died_before: query.died_before,
    };
    let groups = app.stores().dead_letters.groups(tenant, &filter, MOST).await?;
    Ok(Json(DeadLetterGroups { items: groups.into_iter().map(Into::into).collect() }))
}
