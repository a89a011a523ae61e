//! Keys of a tenant. A key's text is in the answer that makes it, and nowhere after that.

mod platform;
mod settings;

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use postrider_shared::api_keys::{IssuedKey, KeyOwner, NewKey};
use postrider_shared::ids::ApiKeyId;
use secrecy::ExposeSecret as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::{Caller, Tenant};
use crate::idempotency::{KeptBody, Once};
use crate::json::Json;
use crate::page::{Page, PageQuery};
use crate::parameters::{Path, Query};
use crate::problem::{Answer, Problem};
use settings::{ApiKey, ApiKeyChange, IssuedApiKey, NewApiKey, Rotation};

/// The operations on keys.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(change, revoke))
        .routes(routes!(rotate))
        .merge(platform::router())
}

/// Make a key for the tenant. Its text is shown once.
#[utoipa::path(
    post, path = "/api-keys", tag = "api keys", operation_id = "create_api_key",
    description = "Nobody gives away more than they may do themselves.",
    request_body = NewApiKey,
    responses((status = 201, description = "The key and its text.", body = IssuedApiKey)),
    security(("api_key" = ["keys:write"]))
)]
async fn create(
    State(app): State<App>,
    caller: Caller,
    Tenant(tenant): Tenant,
    once: Once,
    Json(new): Json<NewApiKey>,
) -> Answer<Response> {
    issue(&app, caller, KeyOwner::Tenant(tenant), once, new.into()).await
}

/// List the tenant's keys, the revoked ones too.
#[utoipa::path(
    get, path = "/api-keys", tag = "api keys", operation_id = "list_api_keys",
    params(PageQuery),
    responses((status = 200, description = "Keys, newest first.", body = Page<ApiKey>)),
    security(("api_key" = ["keys:read"]))
)]
async fn list(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Query(query): Query<PageQuery>,
) -> Answer<Json<Page<ApiKey>>> {
    keys_of(&app, KeyOwner::Tenant(tenant), &query).await
}

/// Change a key's name or expiry.
#[utoipa::path(
    patch, path = "/api-keys/{id}", tag = "api keys", operation_id = "change_api_key",
    params(("id" = ApiKeyId, Path, description = "The key's id.")),
    request_body = ApiKeyChange,
    responses((status = 200, description = "The key, changed.", body = ApiKey)),
    security(("api_key" = ["keys:write"]))
)]
async fn change(
    State(app): State<App>,
    caller: Caller,
    Tenant(tenant): Tenant,
    Path(id): Path<ApiKeyId>,
    Json(change): Json<ApiKeyChange>,
) -> Answer<Json<ApiKey>> {
    changed(&app, caller, KeyOwner::Tenant(tenant), id, change).await
}

/// Give a key a new text, shown once. The old one opens until the overlap ends.
#[utoipa::path(
    post, path = "/api-keys/{id}/rotate", tag = "api keys", operation_id = "rotate_api_key",
    params(("id" = ApiKeyId, Path, description = "The key's id.")),
    request_body = Rotation,
    responses((status = 200, description = "The key and its new text.", body = IssuedApiKey)),
    security(("api_key" = ["keys:write"]))
)]
async fn rotate(
    State(app): State<App>,
    caller: Caller,
    Tenant(tenant): Tenant,
    Path(id): Path<ApiKeyId>,
    once: Once,
    Json(rotation): Json<Rotation>,
) -> Answer<Response> {
    rotated(&app, caller, (KeyOwner::Tenant(tenant), id), once, rotation).await
}

/// Revoke a key: from now on it opens nothing. Revoking it again changes nothing.
#[utoipa::path(
    delete, path = "/api-keys/{id}", tag = "api keys", operation_id = "revoke_api_key",
    params(("id" = ApiKeyId, Path, description = "The key's id.")),
    responses((status = 200, description = "The key, revoked.", body = ApiKey)),
    security(("api_key" = ["keys:write"]))
)]
async fn revoke(State(app): State<App>, Tenant(tenant): Tenant, Path(id): Path<ApiKeyId>) -> Answer<Json<ApiKey>> {
    Ok(Json(app.stores().api_keys.revoke(KeyOwner::Tenant(tenant), id).await?.into()))
}

async fn issue(app: &App, caller: Caller, owner: KeyOwner, once: Once, new: NewKey) -> Answer<Response> {
    let all = new.role.permissions();
    let given = new.scopes.iter().flatten().copied();
    caller.must_have_all(new.scopes.as_ref().map_or(all, |_| all.narrowed_to(given.collect())))?;
    let id = once.id(ApiKeyId::derived, ApiKeyId::random);
    shown_once(StatusCode::CREATED, app.stores().api_keys.issue(owner, id, new).await?)
}

async fn keys_of(app: &App, owner: KeyOwner, query: &PageQuery) -> Answer<Json<Page<ApiKey>>> {
    let page = app.stores().api_keys.list(owner, query.place()?, query.limit.into()).await?;
    Ok(Json(Page::of(page)))
}

async fn changed(
    app: &App,
    caller: Caller,
    owner: KeyOwner,
    id: ApiKeyId,
    change: ApiKeyChange,
) -> Answer<Json<ApiKey>> {
    let keys = &app.stores().api_keys;
    // A longer life is a right, too.
    caller.must_have_all(keys.get(owner, id).await?.permissions())?;
    Ok(Json(keys.change(owner, id, change.into()).await?.into()))
}

async fn rotated(
    app: &App,
    caller: Caller,
    (owner, id): (KeyOwner, ApiKeyId),
    once: Once,
    rotation: Rotation,
) -> Answer<Response> {
    let keys = &app.stores().api_keys;
    // Who is told the new text may do what the key may.
    caller.must_have_all(keys.get(owner, id).await?.permissions())?;
    let overlap = Duration::from_secs(rotation.overlap_seconds.into());
    shown_once(StatusCode::OK, keys.rotate(owner, id, overlap, once.seed()).await?)
}

/// An answer with a key's text, which is not kept for repeats of the request.
fn shown_once(status: StatusCode, issued: IssuedKey) -> Answer<Response> {
    let mut answer = IssuedApiKey { description: issued.key.into(), key: None };
    let kept = serde_json::to_vec(&answer).map_err(Problem::internal)?;
    answer.key = Some(issued.text.expose_secret().to_owned());
    let mut response = (status, Json(answer)).into_response();
    response.extensions_mut().insert(KeptBody(kept.into()));
    Ok(response)
}
