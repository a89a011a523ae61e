//! Who people are elsewhere: what they may sign in as, besides their password and mailed codes.

use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use postrider_shared::identities;
use postrider_shared::ids::IdentityId;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::me::person;
use crate::app::App;
use crate::auth::{Caller, issuers};
use crate::json::Json;
use crate::parameters::Path;
use crate::problem::{Answer, Problem, ProblemType};

/// How long after signing in an identity may be linked: a session that was stolen later opens no door of its own.
const FRESH: TimeDelta = TimeDelta::minutes(15);

/// The operations on one's own identities.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(link, list)).routes(routes!(unlink))
}

/// Who a person is elsewhere.
#[derive(Debug, Serialize, ToSchema)]
pub struct Identity {
    /// Its id.
    id: IdentityId,
    /// Where.
    issuer: String,
    /// Who it is there.
    subject: String,
    /// The verified address there when it was linked.
    email: Option<String>,
    /// Since when one may sign in so.
    created_at: DateTime<Utc>,
}

/// All of a person's identities.
#[derive(Debug, Serialize, ToSchema)]
pub struct Identities {
    /// The oldest first, ten at most.
    items: Vec<Identity>,
}

impl From<identities::Identity> for Identity {
    fn from(row: identities::Identity) -> Self {
        let identities::Identity { id, issuer, subject, email, created_at, .. } = row;
        Self { id, issuer, subject, email, created_at }
    }
}

/// As whom one wants to sign in, too.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewIdentity {
    /// The token, as the issuer gave it to the client: a JWT, signed with RS256.
    #[schema(value_type = String, max_length = 12288)]
    id_token: SecretString,
    /// What the client sent the issuer as `nonce`, if it did: the token must repeat it.
    #[schema(max_length = 512)]
    nonce: Option<String>,
}

/// Link an identity of Google or another issuer, to sign in with it from now on. It takes having signed in within the last 15 minutes.
#[utoipa::path(
    post, path = "/me/identities", tag = "people", operation_id = "link_my_identity",
    request_body = NewIdentity,
    responses((status = 201, description = "The identity, linked.", body = Identity)),
    security(("api_key" = ["profile:write"]))
)]
async fn link(
    State(app): State<App>,
    caller: Caller,
    Json(new): Json<NewIdentity>,
) -> Answer<(StatusCode, Json<Identity>)> {
    let (user, session) = person(caller)?;
    let session = app.stores().sessions.live(session).await?;
    if session.is_none_or(|session| session.created_at + FRESH < app.clock().now()) {
        let detail = "An identity is linked within 15 minutes of signing in: sign in again.";
        return Err(Problem::new(ProblemType::Forbidden, detail));
    }
    let proven = issuers::proven(&app, new.id_token.expose_secret(), new.nonce.as_deref()).await?;
    let linked = app.stores().identities.link(user, &proven).await?;
    tracing::info!(user.id = %user, identity.id = %linked.id, issuer = linked.issuer, "an identity was linked");
    Ok((StatusCode::CREATED, Json(linked.into())))
}

/// List one's own identities.
#[utoipa::path(
    get, path = "/me/identities", tag = "people", operation_id = "list_my_identities",
    responses((status = 200, description = "All of them.", body = Identities)),
    security(("api_key" = ["profile:read"]))
)]
async fn list(State(app): State<App>, caller: Caller) -> Answer<Json<Identities>> {
    let (user, _) = person(caller)?;
    let found = app.stores().identities.list(user).await?;
    Ok(Json(Identities { items: found.into_iter().map(Into::into).collect() }))
}

/// Remove one of one's own identities: nobody signs in with it any more. The last one stays while there is no password.
#[utoipa::path(
    delete, path = "/me/identities/{id}", tag = "people", operation_id = "unlink_my_identity",
    params(("id" = IdentityId, Path, description = "The identity's id.")),
    responses((status = 204, description = "It is removed.")),
    security(("api_key" = ["profile:write"]))
)]
async fn unlink(State(app): State<App>, caller: Caller, Path(id): Path<IdentityId>) -> Answer<StatusCode> {
    let (user, _) = person(caller)?;
    app.stores().identities.unlink(user, id).await?;
    tracing::info!(user.id = %user, identity.id = %id, "an identity was removed");
    Ok(StatusCode::NO_CONTENT)
}
