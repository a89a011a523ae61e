//! Invitations to work for a tenant, or to run the platform. The token is in the mail, and in no answer.

use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use postrider_shared::ids::{InvitationId, TenantId};
use postrider_shared::invitations::{self, NewInvitation};
use postrider_shared::roles::Role;
use postrider_shared::users::Email;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Caller;
use crate::idempotency::Once;
use crate::json::Json;
use crate::page::{Page, PageQuery};
use crate::parameters::{Path, Query};
use crate::problem::{Answer, Problem, ProblemType};

/// The operations on invitations.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(revoke))
}

/// An invitation, without its token.
#[derive(Debug, Serialize, ToSchema)]
pub struct Invitation {
    /// Its id.
    id: InvitationId,
    /// For whom the person is to work; null for the platform.
    tenant_id: Option<TenantId>,
    /// Who is invited.
    email: String,
    /// As what.
    role: Role,
    /// Who invites: a user or a key.
    invited_by: String,
    /// Until when it can be accepted.
    expires_at: DateTime<Utc>,
    /// When it was handed to the mail server.
    mailed_at: Option<DateTime<Utc>>,
    /// When it was accepted.
    accepted_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    revoked_at: Option<DateTime<Utc>>,
    /// When it was made.
    created_at: DateTime<Utc>,
}

impl From<invitations::Invitation> for Invitation {
    fn from(row: invitations::Invitation) -> Self {
        Self {
            id: row.id,
            tenant_id: row.tenant_id,
            email: row.email,
            role: row.role,
            invited_by: row.invited_by,
            expires_at: row.expires_at,
            mailed_at: row.mailed_at,
            accepted_at: row.accepted_at,
            revoked_at: row.revoked_at,
            created_at: row.created_at,
        }
    }
}

/// Who is to be invited.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInvitationBody {
    /// The address.
    #[schema(max_length = 254)]
    email: String,
    /// `viewer`, `agent` or `tenant_admin`; without a tenant `platform_admin`.
    role: Role,
}

/// Invite somebody to work for the tenant; whoever runs the platform and names no tenant invites to run it, too.
///
/// An address gets five invitations of a tenant at once, then one in ten minutes; all addresses together get a hundred at once, then 200
/// a day: more are refused (429).
#[utoipa::path(
    post, path = "/invitations", tag = "people", operation_id = "create_invitation",
    request_body = NewInvitationBody,
    responses((status = 201, description = "The invitation, which is mailed.", body = Invitation)),
    security(("api_key" = ["users:write"]))
)]
async fn create(
    State(app): State<App>,
    caller: Caller,
    once: Once,
    Json(new): Json<NewInvitationBody>,
) -> Answer<(StatusCode, Json<Invitation>)> {
    let tenant = tenant(caller)?;
    caller.must_have_all(new.role.permissions())?;
    let email = Email::parse(&new.email)?;
    app.limits().invitation_to(tenant, &email).await?;
    let new = NewInvitation {
        id: once.id(InvitationId::derived, InvitationId::random),
        email,
        role: new.role,
        invited_by: caller.actor.to_string(),
    };
    let invited = app.stores().invitations.create(tenant, new).await?;
    if let Some(entry) = invited.entry {
        app.relay(TenantId::platform(), &[entry]).await;
    }
    Ok((StatusCode::CREATED, Json(invited.invitation.into())))
}

/// List the tenant's invitations, the accepted and revoked ones too.
#[utoipa::path(
    get, path = "/invitations", tag = "people", operation_id = "list_invitations",
    params(PageQuery),
    responses((status = 200, description = "Invitations, newest first.", body = Page<Invitation>)),
    security(("api_key" = ["users:read"]))
)]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Answer<Json<Page<Invitation>>> {
    let page = app.stores().invitations.list(tenant(caller)?, query.place()?, query.limit.into()).await?;
    Ok(Json(Page::of(page)))
}

/// Revoke an invitation: nobody can accept it any more. Revoking it again changes nothing.
#[utoipa::path(
    delete, path = "/invitations/{id}", tag = "people", operation_id = "revoke_invitation",
    params(("id" = InvitationId, Path, description = "The invitation's id.")),
    responses((status = 200, description = "The invitation, revoked.", body = Invitation)),
    security(("api_key" = ["users:write"]))
)]
async fn revoke(State(app): State<App>, caller: Caller, Path(id): Path<InvitationId>) -> Answer<Json<Invitation>> {
    Ok(Json(app.stores().invitations.revoke(tenant(caller)?, id).await?.into()))
}

/// The tenant; none for whoever runs the platform and names none.
fn tenant(caller: Caller) -> Answer<Option<TenantId>> {
    match caller.tenant {
        None if !caller.is_platform() => Err(Problem::new(ProblemType::TenantRequired, "")),
        tenant => Ok(tenant),
    }
}
