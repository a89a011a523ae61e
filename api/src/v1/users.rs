//! The people who work for a tenant, and those who run the platform.

mod platform;

use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use postrider_shared::ids::UserId;
use postrider_shared::roles::Role;
use postrider_shared::users::Member;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::{Caller, Tenant};
use crate::json::Json;
use crate::page::{Page, PageQuery};
use crate::parameters::{Path, Query};
use crate::problem::Answer;

/// The operations on people.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get, change, remove)).merge(platform::router())
}

/// Somebody who works for the tenant.
#[derive(Debug, Serialize, ToSchema)]
pub struct TenantUser {
    /// The person's id.
    id: UserId,
    /// The address.
    email: String,
    /// The name.
    name: String,
    /// As what the person works here.
    role: Role,
    /// Since when.
    member_since: DateTime<Utc>,
}

impl From<Member> for TenantUser {
    fn from(member: Member) -> Self {
        Self {
            id: member.user.id,
            email: member.user.email,
            name: member.user.name,
            role: member.membership.role,
            member_since: member.membership.created_at,
        }
    }
}

/// What is to be different.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    /// `viewer`, `agent` or `tenant_admin`.
    role: Role,
}

/// List who works for the tenant.
#[utoipa::path(
    get, path = "/users", tag = "people", operation_id = "list_users",
    params(PageQuery),
    responses((status = 200, description = "People, the newest members first.", body = Page<TenantUser>)),
    security(("api_key" = ["users:read"]))
)]
async fn list(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Query(query): Query<PageQuery>,
) -> Answer<Json<Page<TenantUser>>> {
    let page = app.stores().members.list(tenant, query.place()?, query.limit.into()).await?;
    Ok(Json(Page::of(page)))
}

/// Get somebody who works for the tenant.
#[utoipa::path(
    get, path = "/users/{id}", tag = "people", operation_id = "get_user",
    params(("id" = UserId, Path, description = "The person's id.")),
    responses((status = 200, description = "The person.", body = TenantUser)),
    security(("api_key" = ["users:read"]))
)]
async fn get(State(app): State<App>, Tenant(tenant): Tenant, Path(id): Path<UserId>) -> Answer<Json<TenantUser>> {
    Ok(Json(app.stores().members.get(tenant, id).await?.into()))
}

/// Give somebody another role. The last administrator keeps it.
#[utoipa::path(
    patch, path = "/users/{id}", tag = "people", operation_id = "change_user",
    params(("id" = UserId, Path, description = "The person's id.")),
    request_body = UserChange,
    responses((status = 200, description = "The person, changed.", body = TenantUser)),
    security(("api_key" = ["users:write"]))
)]
async fn change(
    State(app): State<App>,
    caller: Caller,
    Tenant(tenant): Tenant,
    Path(id): Path<UserId>,
    Json(change): Json<UserChange>,
) -> Answer<Json<TenantUser>> {
    caller.must_have_all(change.role.permissions())?;
    let member = app.stores().members.change_role(tenant, id, change.role).await?;
    app.people().forget();
    Ok(Json(member.into()))
}

/// Remove somebody from the tenant. The last administrator stays.
#[utoipa::path(
    delete, path = "/users/{id}", tag = "people", operation_id = "remove_user",
    params(("id" = UserId, Path, description = "The person's id.")),
    responses((status = 204, description = "The person no longer works for the tenant.")),
    security(("api_key" = ["users:write"]))
)]
async fn remove(State(app): State<App>, Tenant(tenant): Tenant, Path(id): Path<UserId>) -> Answer<StatusCode> {
    app.stores().members.remove(tenant, id).await?;
    app.people().forget();
    Ok(StatusCode::NO_CONTENT)
}
