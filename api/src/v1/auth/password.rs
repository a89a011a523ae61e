//! Signing in with a password, and choosing a new one by a mailed code.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use postrider_shared::audit;
use postrider_shared::ids::CodeId;
use postrider_shared::one_time_codes::CodePurpose;
use postrider_shared::users::{Email, Passwords, User, Verdict};
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use super::otp::{AskForCode, Asked, mail_code};
use super::signing_in::{Carry, SignedIn, begin, check, refused};
use crate::app::App;
use crate::json::Json;
use crate::limits::ClientAddress;
use crate::problem::{Answer, Problem};

/// Who signs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The address.
    #[schema(max_length = 254)]
    email: String,
    /// The password.
    #[schema(value_type = String, max_length = 200)]
    password: SecretString,
    /// `tokens` if absent.
    #[serde(default)]
    carry: Carry,
}

/// Sign in with a password.
#[utoipa::path(
    post, path = "/auth/login", tag = "signing in", operation_id = "login",
    request_body = Login,
    responses((status = 200, description = "Signed in.", body = SignedIn)),
    security(())
)]
pub(super) async fn login(
    State(app): State<App>,
    from: ClientAddress,
    headers: HeaderMap,
    Json(login): Json<Login>,
) -> Answer<Response> {
    check(login.carry, &headers)?;
    let email = Email::parse(&login.email)?;
    app.limits().sign_in_to(email.as_str(), from).await?;
    // A password that was replaced, or hashed anew, while it was compared is compared once more.
    for _ in 0..2 {
        if let Some(user) = compared(&app, &email, &login.password).await?
            && let Some(response) = begin(&app, &user, login.carry, &headers).await?
        {
            return Ok(response);
        }
    }
    Err(refused())
}

/// Whoever has this address and this password; `None` if its hash became another one meanwhile.
async fn compared(app: &App, email: &Email, password: &SecretString) -> Answer<Option<User>> {
    let user = app.stores().users.by_email(email).await?;
    if let Some(user) = &user {
        audit::claims_to_be(user.id);
    }
    // Somebody who is not there costs a hash, too.
    let stored = user.as_ref().and_then(|user| user.password_hash.clone());
    let verdict = app.passwords().verify(stored, password.clone()).await.map_err(Problem::internal)?;
    match (user, verdict) {
        (None, _) | (_, Verdict::Wrong) => Err(refused()),
        (Some(user), Verdict::Right) => Ok(Some(user)),
        (Some(user), Verdict::RightButOld) => {
            let hash = app.passwords().hash(password.clone()).await.map_err(Problem::internal)?;
            Ok(app.stores().users.rehash(user, hash).await?)
        }
    }
}

/// Have a code mailed for a new password, if the address has a user. The answer is the same if not.
#[utoipa::path(
    post, path = "/auth/password-reset", tag = "signing in", operation_id = "ask_for_password_reset",
    request_body = AskForCode,
    responses((status = 202, description = "A code is mailed if there is such a user.", body = Asked)),
    security(())
)]
pub(super) async fn ask_for_reset(
    State(app): State<App>,
    from: ClientAddress,
    Json(ask): Json<AskForCode>,
) -> Answer<(StatusCode, Json<Asked>)> {
    mail_code(&app, &ask, CodePurpose::ResetPassword, from).await
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// From the answer to the request for the code.
    challenge: CodeId,
    /// The digits from the mail.
    #[schema(value_type = String, pattern = "^[0-9]{6}$")]
    code: String,
    /// The new password, of 10 to 200 characters.
    #[schema(value_type = String, min_length = 10, max_length = 200)]
    password: SecretString,
}

/// Choose a new password with a mailed code. All sessions of the user end, and what began them without a proof of the address.
///
/// An account that began on the word of an issuer that does not manage the address loses that identity, which can be linked again.
#[utoipa::path(
    post, path = "/auth/password-reset/confirm", tag = "signing in", operation_id = "reset_password",
    request_body = Reset,
    responses((status = 204, description = "The password is changed; all sessions have ended.")),
    security(())
)]
pub(super) async fn reset(State(app): State<App>, Json(reset): Json<Reset>) -> Answer<StatusCode> {
    Passwords::check(&reset.password)?;
    let hash = app.passwords().hash(reset.password).await.map_err(Problem::internal)?;
    let done = app.stores().profiles.reset_password(reset.challenge, &reset.code, hash).await?;
    let user = done.ok_or_else(refused)?;
    app.people().forget();
    tracing::info!(user.id = %user, "a password was reset");
    Ok(StatusCode::NO_CONTENT)
}
