//! Keys that run the platform, for those who have one.

use axum::extract::State;
use axum::response::Response;
use postrider_shared::api_keys::KeyOwner;
use postrider_shared::ids::ApiKeyId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::settings::{ApiKey, ApiKeyChange, IssuedApiKey, NewPlatformKey, Rotation};
use crate::app::App;
use crate::auth::Caller;
use crate::idempotency::Once;
use crate::json::Json;
use crate::page::{Page, PageQuery};
use crate::parameters::{Path, Query};
use crate::problem::Answer;

/// The operations on platform keys.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(change, revoke)).routes(routes!(rotate))
}

/// Make a platform key. Its text is shown once.
#[utoipa::path(
    post, path = "/platform/api-keys", tag = "platform keys", operation_id = "create_platform_key",
    description = "Nobody gives away more than they may do themselves.",
    request_body = NewPlatformKey,
    responses((status = 201, description = "The key and its text.", body = IssuedApiKey)),
    security(("api_key" = ["platform_keys:write"]))
)]
async fn create(
    State(app): State<App>,
    caller: Caller,
    once: Once,
    Json(new): Json<NewPlatformKey>,
) -> Answer<Response> {
    super::issue(&app, caller, KeyOwner::Platform, once, new.into()).await
}

/// List the platform keys, the revoked ones too.
#[utoipa::path(
    get, path = "/platform/api-keys", tag = "platform keys", operation_id = "list_platform_keys",
    params(PageQuery),
    responses((status = 200, description = "Keys, newest first.", body = Page<ApiKey>)),
    security(("api_key" = ["platform_keys:read"]))
)]
async fn list(State(app): State<App>, Query(query): Query<PageQuery>) -> Answer<Json<Page<ApiKey>>> {
    super::keys_of(&app, KeyOwner::Platform, &query).await
}

/// Change a platform key's name or expiry.
#[utoipa::path(
    patch, path = "/platform/api-keys/{id}", tag = "platform keys", operation_id = "change_platform_key",
    params(("id" = ApiKeyId, Path, description = "The key's id.")),
    request_body = ApiKeyChange,
    responses((status = 200, description = "The key, changed.", body = ApiKey)),
    security(("api_key" = ["platform_keys:write"]))
)]
async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<ApiKeyId>,
    Json(change): Json<ApiKeyChange>,
) -> Answer<Json<ApiKey>> {
    super::changed(&app, caller, KeyOwner::Platform, id, change).await
}

/// Give a platform key a new text, shown once. The old one opens until the overlap ends.
#[utoipa::path(
    post, path = "/platform/api-keys/{id}/rotate", tag = "platform keys", operation_id = "rotate_platform_key",
    params(("id" = ApiKeyId, Path, description = "The key's id.")),
    request_body = Rotation,
    responses((status = 200, description = "The key and its new text.", body = IssuedApiKey)),
    security(("api_key" = ["platform_keys:write"]))
)]
async fn rotate(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<ApiKeyId>,
    once: Once,
    Json(rotation): Json<Rotation>,
) -> Answer<Response> {
    super::rotated(&app, caller, (KeyOwner::Platform, id), once, rotation).await
}

/// Revoke a platform key: from now on it opens nothing. The last one that can do everything stays.
#[utoipa::path(
    delete, path = "/platform/api-keys/{id}", tag = "platform keys", operation_id = "revoke_platform_key",
    params(("id" = ApiKeyId, Path, description = "The key's id.")),
    responses((status = 200, description = "The key, revoked.", body = ApiKey)),
    security(("api_key" = ["platform_keys:write"]))
)]
async fn revoke(State(app): State<App>, Path(id): Path<ApiKeyId>) -> Answer<Json<ApiKey>> {
    Ok(Json(app.stores().api_keys.revoke(KeyOwner::Platform, id).await?.into()))
}
