//! Accepting an invitation.

use axum::extract::State;
use postrider_shared::ids::{TenantId, UserId};
use postrider_shared::invitations::Acceptance;
use postrider_shared::roles::Role;
use postrider_shared::users::Passwords;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::signing_in::refused;
use crate::app::App;
use crate::json::Json;
use crate::problem::{Answer, Problem};

/// Who accepts.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Accept {
    /// From the mail.
    #[schema(value_type = String)]
    token: SecretString,
    /// The person's name; the address if absent. Somebody who has a user keeps theirs.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// A password of 10 to 200 characters; without one they sign in by code. Somebody who has a user keeps theirs.
    #[schema(value_type = Option<String>, min_length = 10, max_length = 200)]
    password: Option<SecretString>,
}

/// What was accepted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AcceptedInvitation)]
pub struct Accepted {
    /// The person, who can sign in now.
    user_id: UserId,
    /// For whom they work; null for the platform.
    tenant_id: Option<TenantId>,
    /// As what.
    role: Role,
}

/// Accept an invitation with the token that was mailed, once.
#[utoipa::path(
    post, path = "/auth/invitations/accept", tag = "signing in", operation_id = "accept_invitation",
    request_body = Accept,
    responses((status = 200, description = "Accepted.", body = Accepted)),
    security(())
)]
pub(super) async fn accept(State(app): State<App>, Json(accept): Json<Accept>) -> Answer<Json<Accepted>> {
    if let Some(password) = &accept.password {
        Passwords::check(password)?;
    }
    let invitations = &app.stores().invitations;
    let (_, user) = invitations.look(&accept.token).await?.ok_or_else(refused)?;
    let password_hash = match accept.password.filter(|_| user.is_none()) {
        Some(password) => Some(app.passwords().hash(password).await.map_err(Problem::internal)?),
        None => None,
    };
    let who = Acceptance { name: accept.name, password_hash };
    let accepted = invitations.accept(&accept.token, who).await?.ok_or_else(refused)?;
    app.people().forget();
    let (invitation, user_id) = (accepted.invitation, accepted.user.id);
    Ok(Json(Accepted { user_id, tenant_id: invitation.tenant_id, role: invitation.role }))
}
