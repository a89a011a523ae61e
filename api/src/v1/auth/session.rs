//! Going on with a session, and ending it.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use postrider_shared::actor::Actor;
use postrider_shared::sessions::{EndedBy, Rotation};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use utoipa::ToSchema;

use super::signing_in::{SignedIn, answer, refused};
use crate::app::App;
use crate::auth::{Caller, cookie};
use crate::idempotency;
use crate::json::Json;
use crate::problem::{Answer, Problem};

/// The token of the last answer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// Good once.
    #[schema(value_type = String)]
    refresh_token: SecretString,
}

/// What is to end.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Logout {
    /// All sessions of the person, not only this one.
    #[serde(default)]
    all: bool,
}

/// Get the next tokens. A token that comes a second time ends its session, with every token of it.
///
/// A client that may lose the answer sends an `Idempotency-Key` of its own, random for each refresh: for a minute, and until the new
/// token was used, a repeat with the same key gets the same answer.
#[utoipa::path(
    post, path = "/auth/refresh", tag = "signing in", operation_id = "refresh",
    params((
        "Idempotency-Key" = Option<String>, Header,
        description = "Of this request's own: a repeat with the same key gets the same tokens for a minute."
    )),
    request_body = Refresh,
    responses((status = 200, description = "The next tokens.", body = SignedIn)),
    security(())
)]
pub(super) async fn refresh(
    State(app): State<App>,
    headers: HeaderMap,
    Json(refresh): Json<Refresh>,
) -> Answer<Response> {
    let request = idempotency::key(&headers)?;
    match app.stores().sessions.refresh(refresh.refresh_token.expose_secret(), request.as_deref()).await? {
        Rotation::Next { session, token } => answer(&app, &session, &token),
        Rotation::Reused(session) => {
            app.people().forget();
            tracing::warn!(session.id = %session, "a refresh token came a second time: its session has ended");
            Err(refused())
        }
        Rotation::Unknown => Err(refused()),
    }
}

/// Sign out: the session ends at once, or all of the person's.
#[utoipa::path(
    post, path = "/auth/logout", tag = "signing in", operation_id = "logout",
    request_body = Option<Logout>,
    responses((status = 204, description = "Signed out.")),
    security(("api_key" = ["profile:write"]))
)]
pub(super) async fn logout(State(app): State<App>, caller: Caller, logout: Option<Json<Logout>>) -> Answer<Response> {
    let Actor::User { user, session } = caller.actor else { return Err(Problem::not_found("session")) };
    if logout.is_some_and(|Json(logout)| logout.all) {
        app.stores().sessions.end_all(user, None, EndedBy::SignedOut).await?;
    } else {
        app.stores().sessions.end(user, session, EndedBy::SignedOut).await?;
    }
    app.people().forget();
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie::forget()?)]).into_response())
}
