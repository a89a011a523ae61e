//! What whoever signed in gets: tokens, or a cookie.

use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, Utc};
use postrider_shared::audit;
use postrider_shared::ids::{SessionId, UserId};
use postrider_shared::sessions::{Begun, Carrier, Session};
use postrider_shared::users::User;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::{cookie, jwt};
use crate::json::Json;
use crate::problem::{Answer, Problem, ProblemType};

/// A session that just began, or went on.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignedIn {
    /// Who signed in.
    user_id: UserId,
    /// The session's id, by which it can be ended.
    session_id: SessionId,
    /// When the session ends if nobody uses it.
    expires_at: DateTime<Utc>,
    /// For `Authorization: Bearer …`; null with a cookie.
    access_token: Option<String>,
    /// For how many seconds the access token is good; null with a cookie.
    expires_in: Option<i64>,
    /// Gets the next tokens, once; null with a cookie.
    refresh_token: Option<String>,
}

/// How the session is to be carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Carry {
    /// By tokens in the answer: for programs.
    #[default]
    Tokens,
    /// By a cookie: for browsers.
    Cookie,
}

/// The one answer to a wrong address, password or code.
pub(super) fn refused() -> Problem {
    Problem::new(ProblemType::SignInRefused, "")
}

/// A cookie is given to pages of this site only.
pub(super) fn check(carry: Carry, headers: &HeaderMap) -> Answer<()> {
    match carry {
        Carry::Tokens => Ok(()),
        Carry::Cookie => cookie::must_be_of_this_site(&Method::POST, headers),
    }
}

/// Begins a session. `None` if the person is gone, or has another password or address than when it was looked at.
pub(super) async fn begin(app: &App, user: &User, carry: Carry, headers: &HeaderMap) -> Answer<Option<Response>> {
    let client = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let carrier = match carry {
        Carry::Tokens => Carrier::Tokens,
        Carry::Cookie => Carrier::Cookie,
    };
    audit::turns_out_to_be(user.id, None);
    let begun = app.stores().sessions.begin(user, carrier, client).await?;
    let Some(Begun { session, token }) = begun else { return Ok(None) };
    tracing::info!(user.id = %user.id, session.id = %session.id, %carrier, "signed in");
    answer(app, &session, &token).map(Some)
}

/// What carries a session from now on.
pub(super) fn answer(app: &App, session: &Session, token: &SecretString) -> Answer<Response> {
    let mut body = SignedIn {
        user_id: session.user_id,
        session_id: session.id,
        expires_at: session.expires_at,
        access_token: None,
        expires_in: None,
        refresh_token: None,
    };
    let mut set = None;
    match session.carrier {
        Carrier::Tokens => {
            let named = jwt::Named { user: session.user_id, session: session.id };
            let access = jwt::issue(app.keys(), app.clock().now(), named).map_err(Problem::internal)?;
            body.access_token = Some(access);
            body.expires_in = Some(jwt::VALID.num_seconds());
            body.refresh_token = Some(token.expose_secret().to_owned());
        }
        Carrier::Cookie => set = Some(cookie::set(token)?),
    }
    let mut response = Json(body).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(set) = set {
        response.headers_mut().insert(header::SET_COOKIE, set);
    }
    Ok(response)
}
