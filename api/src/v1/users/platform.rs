//! The people who run the platform.

use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use postrider_shared::database::AllTenants;
use postrider_shared::ids::UserId;
use postrider_shared::roles::Role;
use postrider_shared::users::User;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Caller;
use crate::json::Json;
use crate::page::{Page, PageQuery};
use crate::parameters::{Path, Query};
use crate::problem::Answer;

/// The operations on those who run the platform.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(add, remove))
}

/// Somebody who runs the platform.
#[derive(Debug, Serialize, ToSchema)]
struct PlatformUser {
    /// The person's id.
    id: UserId,
    /// The address.
    email: String,
    /// The name.
    name: String,
    /// Since when there is this person.
    created_at: DateTime<Utc>,
}

impl From<User> for PlatformUser {
    fn from(user: User) -> Self {
        Self { id: user.id, email: user.email, name: user.name, created_at: user.created_at }
    }
}

/// List who runs the platform.
#[utoipa::path(
    get, path = "/platform/users", tag = "people", operation_id = "list_platform_users",
    params(PageQuery),
    responses((status = 200, description = "People, the newest accounts first.", body = Page<PlatformUser>)),
    security(("api_key" = ["platform_users:read"]))
)]
async fn list(State(app): State<App>, Query(query): Query<PageQuery>) -> Answer<Json<Page<PlatformUser>>> {
    let page = app.stores().users.who_run_the_platform(AllTenants, query.place()?, query.limit.into()).await?;
    Ok(Json(Page::of(page)))
}

/// Let somebody who has an account run the platform, from now on and in all their sessions. Doing it again changes nothing.
#[utoipa::path(
    put, path = "/platform/users/{id}", tag = "people", operation_id = "add_platform_user",
    description = "Nobody gives away more than they may do themselves.",
    params(("id" = UserId, Path, description = "The person's id.")),
    responses((status = 200, description = "The person, who runs the platform.", body = PlatformUser)),
    security(("api_key" = ["platform_users:write"]))
)]
async fn add(State(app): State<App>, caller: Caller, Path(id): Path<UserId>) -> Answer<Json<PlatformUser>> {
    caller.must_have_all(Role::PlatformAdmin.permissions())?;
    let user = app.stores().users.let_run_the_platform(AllTenants, id).await?;
    app.people().forget();
    tracing::info!(user.id = %id, by = %caller.actor, "a person runs the platform from now on");
    Ok(Json(user.into()))
}

/// Take from somebody that they run the platform, in all their sessions. The last one keeps it.
#[utoipa::path(
    delete, path = "/platform/users/{id}", tag = "people", operation_id = "remove_platform_user",
    params(("id" = UserId, Path, description = "The person's id.")),
    responses((status = 204, description = "The person no longer runs the platform.")),
    security(("api_key" = ["platform_users:write"]))
)]
async fn remove(State(app): State<App>, caller: Caller, Path(id): Path<UserId>) -> Answer<StatusCode> {
    app.stores().users.no_longer_run_the_platform(AllTenants, id).await?;
    app.people().forget();
    tracing::info!(user.id = %id, by = %caller.actor, "a person no longer runs the platform");
    Ok(StatusCode::NO_CONTENT)
}
