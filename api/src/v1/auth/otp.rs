//! Signing in with a mailed code.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use postrider_shared::audit;
use postrider_shared::ids::{CodeId, TenantId};
use postrider_shared::one_time_codes::CodePurpose;
use postrider_shared::users::Email;
use serde::{Deserialize, Serialize};
use tracing::Instrument as _;
use utoipa::ToSchema;

use super::signing_in::{Carry, SignedIn, begin, check, refused};
use crate::app::App;
use crate::json::Json;
use crate::limits::ClientAddress;
use crate::problem::Answer;

/// Whose code is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskForCode {
    /// The address.
    #[schema(max_length = 254)]
    email: String,
}

/// What the code is given back with.
#[derive(Debug, Serialize, ToSchema)]
pub struct Asked {
    /// To be sent with the code, within ten minutes. There is one whether a code was mailed or not.
    pub(super) challenge: CodeId,
}

/// A code from a mail.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// From the answer to the request for the code.
    challenge: CodeId,
    /// The digits from the mail.
    #[schema(pattern = "^[0-9]{6}$")]
    code: String,
    /// `tokens` if absent.
    #[serde(default)]
    carry: Carry,
}

/// Have a code mailed for signing in, if the address has a user. The answer is the same if not.
#[utoipa::path(
    post, path = "/auth/otp", tag = "signing in", operation_id = "ask_for_code",
    request_body = AskForCode,
    responses((status = 202, description = "A code is mailed if there is such a user.", body = Asked)),
    security(())
)]
pub(super) async fn ask(
    State(app): State<App>,
    from: ClientAddress,
    Json(ask): Json<AskForCode>,
) -> Answer<(StatusCode, Json<Asked>)> {
    mail_code(&app, &ask, CodePurpose::SignIn, from).await
}

/// Sign in with a mailed code. It is good once, and may be guessed five times.
#[utoipa::path(
    post, path = "/auth/otp/verify", tag = "signing in", operation_id = "verify_code",
    request_body = Verify,
    responses((status = 200, description = "Signed in.", body = SignedIn)),
    security(())
)]
pub(super) async fn verify(State(app): State<App>, headers: HeaderMap, Json(verify): Json<Verify>) -> Answer<Response> {
    check(verify.carry, &headers)?;
    let taken = app.stores().one_time_codes.redeem(verify.challenge, CodePurpose::SignIn, &verify.code).await?;
    let (user, email) = taken.and_then(|code| Some((code.user_id?, code.email))).ok_or_else(refused)?;
    // Who has another address by now was told that codes to the old one are void.
    let user = app.stores().users.get(user).await?.filter(|user| user.email == email).ok_or_else(refused)?;
    begin(&app, &user, verify.carry, &headers).await?.ok_or_else(refused)
}

/// Has a code mailed. The answer does not wait for that, so that it takes the same time where there is nobody to mail.
pub(super) async fn mail_code(
    app: &App,
    ask: &AskForCode,
    purpose: CodePurpose,
    from: ClientAddress,
) -> Answer<(StatusCode, Json<Asked>)> {
    let email = Email::parse(&ask.email)?;
    app.limits().code_for(&email, purpose, from).await?;
    let challenge = CodeId::random();
    if let Some(user) = app.stores().users.by_email(&email).await? {
        audit::claims_to_be(user.id);
        let work = app.clone();
        let mailing = async move {
            match work.stores().one_time_codes.issue(challenge, purpose, (user.id, &email)).await {
                Ok(Some(issued)) => work.relay(TenantId::platform(), &[issued.entry]).await,
                Ok(None) => tracing::info!(user.id = %user.id, %purpose, "too many codes in this hour"),
                Err(error) => tracing::error!(%error, user.id = %user.id, "a code cannot be mailed"),
            }
        };
        app.tasks().spawn(mailing.in_current_span());
    }
    Ok((StatusCode::ACCEPTED, Json(Asked { challenge })))
}
