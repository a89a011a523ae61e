//! Signing in with an ID token of Google or another issuer.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use postrider_shared::config::Registration;
use postrider_shared::identities::{Entered, Newcomer};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use utoipa::ToSchema;

use super::registration::begins_as;
use super::signing_in::{Carry, SignedIn, begin, check, refused};
use crate::app::App;
use crate::auth::issuers;
use crate::json::Json;
use crate::problem::{Answer, Problem, ProblemType};

/// Who signs in, and what they are to become if nobody knows them.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IdTokenLogin {
    /// The token, as the issuer gave it to the client: a JWT, signed with RS256.
    #[schema(value_type = String, max_length = 12288)]
    id_token: SecretString,
    /// What the client sent the issuer as `nonce`, if it did: the token must repeat it.
    #[schema(max_length = 512)]
    nonce: Option<String>,
    /// `tokens` if absent.
    #[serde(default)]
    carry: Carry,
    /// Somebody who has no account registers a business of this name, where the installation lets strangers do that.
    #[schema(min_length = 1, max_length = 200)]
    tenant_name: Option<String>,
    /// From the mail of an invitation, which is accepted on the way.
    #[schema(value_type = Option<String>, max_length = 200)]
    invitation_token: Option<SecretString>,
}

/// Sign in with an ID token of Google or another issuer that this installation trusts.
///
/// Somebody is known by issuer and subject. Who comes for the first time is found by their address if the issuer manages it itself
/// (Google: Gmail, and organisations); registers, with `tenant_name`; or accepts an invitation, with `invitation_token`. Whoever has an
/// account already, and is not found so, signs in as before and links the identity (`POST /v1/me/identities`).
#[utoipa::path(
    post, path = "/auth/oidc", tag = "signing in", operation_id = "sign_in_with_id_token",
    request_body = IdTokenLogin,
    responses((status = 200, description = "Signed in.", body = SignedIn)),
    security(())
)]
pub(super) async fn sign_in(
    State(app): State<App>,
    headers: HeaderMap,
    Json(login): Json<IdTokenLogin>,
) -> Answer<Response> {
    check(login.carry, &headers)?;
    let newcomer = newcomer(&app, login.tenant_name, login.invitation_token)?;
    let proven = issuers::proven(&app, login.id_token.expose_secret(), login.nonce.as_deref()).await?;
    let entered = app.stores().identities.enter(&proven, &newcomer).await?;
    let user = match entered {
        Entered::Known(user) => user,
        Entered::Linked(user) => {
            tracing::info!(user.id = %user.id, issuer = proven.issuer, "an identity was linked by its address");
            user
        }
        Entered::Registered { user, tenant } => {
            tracing::info!(user.id = %user.id, tenant.id = %tenant, issuer = proven.issuer, "registered");
            user
        }
        Entered::Accepted { user, invitation } => {
            tracing::info!(user.id = %user.id, invitation.id = %invitation.id, "an invitation was accepted");
            app.people().forget();
            user
        }
        Entered::Unknown => return Err(unknown(&app)),
        Entered::NoAddress => {
            let detail = "The token names no address that its issuer has verified, and a person needs one.";
            return Err(Problem::new(ProblemType::NotRegistered, detail));
        }
        Entered::LinkFirst => return Err(Problem::new(ProblemType::IdentityNotLinked, "")),
        Entered::NotInvited => return Err(refused()),
    };
    begin(&app, &user, login.carry, &headers).await?.ok_or_else(refused)
}

fn newcomer(app: &App, tenant_name: Option<String>, invitation: Option<SecretString>) -> Answer<Newcomer> {
    match (tenant_name, invitation) {
        (Some(_), Some(_)) => Err(Problem::field("/tenant_name", "is for who registers, not for who is invited")),
        (None, Some(token)) => Ok(Newcomer::Invited { token }),
        (None, None) => Ok(Newcomer::Stranger),
        (Some(tenant_name), None) => Ok(match begins_as(app.registration()) {
            Some(state) => Newcomer::Registers { tenant_name, state },
            None => Newcomer::Stranger,
        }),
    }
}

fn unknown(app: &App) -> Problem {
    let detail = match app.registration() {
        Registration::Open | Registration::Approval => "Nobody has registered as this person yet.",
        Registration::Closed => "Nobody is registered as this person, and people are invited here.",
    };
    Problem::new(ProblemType::NotRegistered, detail)
}
