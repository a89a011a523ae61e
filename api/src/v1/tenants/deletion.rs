//! Deleting a tenant, and taking that back: for those who run the platform.

use axum::extract::State;
use axum::http::StatusCode;
use chrono::TimeDelta;
use postrider_shared::database::StoreError;
use postrider_shared::ids::TenantId;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Tenant;
use crate::app::App;
use crate::json::Json;
use crate::parameters::{Path, Query};
use crate::problem::{Answer, Problem, ProblemType};

/// The operations on a tenant's end. `DELETE` stands beside the other methods of its path.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(restore))
}

/// What is to be deleted, and when.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Confirmation {
    /// The tenant's name, letter by letter.
    #[param(max_length = 200)]
    confirm: String,
    /// For so many days it can be taken back.
    #[serde(default = "week")]
    #[param(value_type = u32, minimum = 0, maximum = 90, default = 7)]
    delay_days: u32,
}

const fn week() -> u32 {
    7
}

/// Delete a suspended tenant with all it has: jobs, mailboxes, mails, quotes, files, keys and memberships.
///
/// From now on nothing is sent for it and nothing of it opens. Until `delete_after` it can be restored; then a job removes it. People
/// who work for no other tenant are removed with it. Its audit events stay until their time is over.
#[utoipa::path(
    delete, path = "/tenants/{id}", tag = "tenants", operation_id = "delete_tenant",
    params(("id" = TenantId, Path, description = "The tenant's id."), Confirmation),
    responses((status = 202, description = "The tenant, to be deleted at `delete_after`.", body = Tenant)),
    security(("api_key" = ["tenants:manage"]))
)]
pub(super) async fn delete(
    State(app): State<App>,
    Path(id): Path<TenantId>,
    Query(wanted): Query<Confirmation>,
) -> Answer<(StatusCode, Json<Tenant>)> {
    let delay = TimeDelta::days(wanted.delay_days.into());
    let asked = match app.stores().tenants.ask_deletion(id, &wanted.confirm, delay).await {
        Err(StoreError::Invalid { field, reason }) => {
            return Err(Problem::new(ProblemType::InvalidQuery, format!("{field} {reason}.")));
        }
        asked => asked?,
    };
    app.apply_pause(id).await;
    app.relay(TenantId::platform(), &[asked.entry]).await;
    Ok((StatusCode::ACCEPTED, Json(asked.tenant.into())))
}

/// Take back that a tenant is to be deleted. It is suspended, and nothing of it is lost.
#[utoipa::path(
    post, path = "/tenants/{id}/restore", tag = "tenants", operation_id = "restore_tenant",
    params(("id" = TenantId, Path, description = "The tenant's id.")),
    responses((status = 200, description = "The tenant, suspended.", body = Tenant)),
    security(("api_key" = ["tenants:manage"]))
)]
async fn restore(State(app): State<App>, Path(id): Path<TenantId>) -> Answer<Json<Tenant>> {
    Ok(Json(app.stores().tenants.restore(id).await?.into()))
}
