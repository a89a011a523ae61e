//! Where a tenant is in its life: for those who run the platform.

use axum::extract::State;
use postrider_shared::ids::TenantId;
use postrider_shared::tenants::TenantState;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Tenant;
use crate::app::App;
use crate::json::Json;
use crate::parameters::Path;
use crate::problem::Answer;

/// The operations on a tenant's life.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(approve)).routes(routes!(suspend)).routes(routes!(activate))
}

/// Approve a tenant that registered by itself: it takes part from now on.
#[utoipa::path(
    post, path = "/tenants/{id}/approve", tag = "tenants", operation_id = "approve_tenant",
    params(("id" = TenantId, Path, description = "The tenant's id.")),
    responses((status = 200, description = "The tenant, active.", body = Tenant)),
    security(("api_key" = ["tenants:manage"]))
)]
async fn approve(State(app): State<App>, Path(id): Path<TenantId>) -> Answer<Json<Tenant>> {
    moved(&app, id, TenantState::Pending, TenantState::Active).await
}

/// Suspend a tenant: its keys and users do not open, its mailboxes are not read, and its jobs wait. What runs ends.
#[utoipa::path(
    post, path = "/tenants/{id}/suspend", tag = "tenants", operation_id = "suspend_tenant",
    params(("id" = TenantId, Path, description = "The tenant's id.")),
    responses((status = 200, description = "The tenant, suspended. Nothing is lost.", body = Tenant)),
    security(("api_key" = ["tenants:manage"]))
)]
async fn suspend(State(app): State<App>, Path(id): Path<TenantId>) -> Answer<Json<Tenant>> {
    moved(&app, id, TenantState::Active, TenantState::Suspended).await
}

/// Take a suspended tenant in again: what waited goes on where it stood.
#[utoipa::path(
    post, path = "/tenants/{id}/activate", tag = "tenants", operation_id = "activate_tenant",
    params(("id" = TenantId, Path, description = "The tenant's id.")),
    responses((status = 200, description = "The tenant, active.", body = Tenant)),
    security(("api_key" = ["tenants:manage"]))
)]
async fn activate(State(app): State<App>, Path(id): Path<TenantId>) -> Answer<Json<Tenant>> {
    moved(&app, id, TenantState::Suspended, TenantState::Active).await
}

async fn moved(app: &App, id: TenantId, from: TenantState, to: TenantState) -> Answer<Json<Tenant>> {
    let tenant = app.stores().tenants.move_on(id, from, to).await?;
    app.apply_pause(id).await;
    Ok(Json(tenant.into()))
}
