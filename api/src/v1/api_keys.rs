//! Keys of a tenant. A key's text is in the answer that makes it, and nowhere after that.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, Utc};
use postrider_shared::api_keys;
use postrider_shared::ids::{ApiKeyId, TenantId};
use postrider_shared::roles::Role;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::{Caller, Tenant};
use crate::idempotency::{KeptBody, Once};
use crate::json::Json;
use crate::page::{Page, PageQuery};
use crate::parameters::{Path, Query};
use crate::problem::{Answer, Problem};

/// The operations on keys.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(revoke))
}

/// A key, without its secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ApiKey {
    /// Its id.
    id: ApiKeyId,
    /// The tenant it belongs to; null for a platform key.
    tenant_id: Option<TenantId>,
    /// What it is for.
    name: String,
    /// What it may do.
    role: Role,
    /// The first part of its text, to recognise it by.
    prefix: String,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it was last used, within about a minute.
    last_used_at: Option<DateTime<Utc>>,
    /// Since when it opens nothing.
    revoked_at: Option<DateTime<Utc>>,
}

impl From<api_keys::ApiKey> for ApiKey {
    fn from(row: api_keys::ApiKey) -> Self {
        Self {
            id: row.id,
            tenant_id: row.tenant_id,
            name: row.name,
            role: row.role,
            prefix: format!("pr_{}", row.prefix),
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
        }
    }
}

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApiKey {
    /// What it is for.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// What it may do: `viewer`, `agent` or `tenant_admin`.
    role: Role,
}

/// A key that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub struct IssuedApiKey {
    #[serde(flatten)]
    description: ApiKey,
    /// Its text, shown this once; null when an idempotency key repeats the request that made it.
    key: Option<String>,
}

/// Make a key for the tenant. Its text is shown once.
#[utoipa::path(
    post, path = "/api-keys", tag = "api keys", operation_id = "create_api_key",
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
    caller.must_have_all(new.role.permissions())?;
    let id = once.id(ApiKeyId::derived, ApiKeyId::random);
    let issued = app.stores().api_keys.issue_as(tenant, id, &new.name, new.role).await?;
    let mut answer = IssuedApiKey { description: issued.key.into(), key: None };
    let kept = serde_json::to_vec(&answer).map_err(Problem::internal)?;
    answer.key = Some(issued.text.expose_secret().to_owned());
    let mut response = (StatusCode::CREATED, Json(answer)).into_response();
    response.extensions_mut().insert(KeptBody(kept.into()));
    Ok(response)
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
    let page = app.stores().api_keys.list(tenant, query.place()?, query.limit.into()).await?;
    Ok(Json(Page::of(page)))
}

/// Revoke a key: from now on it opens nothing. Revoking it again changes nothing.
#[utoipa::path(
    delete, path = "/api-keys/{id}", tag = "api keys", operation_id = "revoke_api_key",
    params(("id" = ApiKeyId, Path, description = "The key's id.")),
    responses((status = 200, description = "The key, revoked.", body = ApiKey)),
    security(("api_key" = ["keys:write"]))
)]
async fn revoke(State(app): State<App>, Tenant(tenant): Tenant, Path(id): Path<ApiKeyId>) -> Answer<Json<ApiKey>> {
    Ok(Json(app.stores().api_keys.revoke(tenant, id).await?.into()))
}
