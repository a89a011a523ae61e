//! What happened to an account, for its owner.

use axum::extract::State;
use chrono::{DateTime, Utc};
use postrider_shared::accounts::{self, EventKind};
use postrider_shared::ids::{AccountEventId, AccountId};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Tenant;
use crate::json::Json;
use crate::page::{Page, PageQuery};
use crate::parameters::{Path, Query};
use crate::problem::Answer;

/// The operations on events of accounts.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Something that happened to an account.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountEvent {
    /// Its id.
    id: AccountEventId,
    /// What happened.
    kind: EventKind,
    /// Why, in words.
    detail: Option<String>,
    /// When.
    created_at: DateTime<Utc>,
}

impl From<accounts::AccountEvent> for AccountEvent {
    fn from(row: accounts::AccountEvent) -> Self {
        Self { id: row.id, kind: row.kind, detail: row.detail, created_at: row.created_at }
    }
}

/// List what happened to an account that its owner should know of: consents that came to nothing, grants that were revoked.
#[utoipa::path(
    get, path = "/accounts/{id}/events", tag = "accounts", operation_id = "list_account_events",
    params(("id" = AccountId, Path, description = "The account's id."), PageQuery),
    responses((status = 200, description = "Events, newest first.", body = Page<AccountEvent>)),
    security(("api_key" = ["accounts:read"]))
)]
async fn list(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Path(id): Path<AccountId>,
    Query(query): Query<PageQuery>,
) -> Answer<Json<Page<AccountEvent>>> {
    let account = app.stores().accounts.get(tenant, id).await?;
    let page = app.stores().account_events.list(tenant, account.id, query.place()?, query.limit.into()).await?;
    Ok(Json(Page::of(page)))
}
