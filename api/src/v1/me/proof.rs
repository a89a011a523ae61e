//! Showing that it is the account's owner who asks, and not only somebody with a session.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use chrono::Timelike as _;
use postrider_shared::ids::{CodeId, TenantId};
use postrider_shared::one_time_codes::CodePurpose;
use postrider_shared::profiles::Proof;
use postrider_shared::users::{Email, User, Verdict};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::person;
use crate::app::App;
use crate::auth::Caller;
use crate::idempotency::Once;
use crate::json::Json;
use crate::limits::ClientAddress;
use crate::problem::{Answer, Problem, ProblemType};

/// The password; or a code for who has none, or does not know it: `challenge` and `code`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnerProof {
    /// The password that holds.
    #[schema(value_type = Option<String>, max_length = 200)]
    pub password: Option<SecretString>,
    /// From the answer of `POST /v1/me/code`.
    pub challenge: Option<CodeId>,
    /// The digits from the mail.
    #[schema(value_type = Option<String>, pattern = "^[0-9]{6}$")]
    pub code: Option<SecretString>,
}

/// What a code is to be good for.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum OwnPurpose {
    /// `DELETE /v1/me`.
    DeleteAccount,
    /// `POST /v1/me/email`.
    ChangeEmail,
}

/// What a code is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AskForOwnCode {
    /// It is good for nothing else.
    purpose: OwnPurpose,
}

/// What the code is given back with.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OwnCode {
    /// To be sent with the code, within ten minutes.
    pub challenge: CodeId,
}

/// Have a code mailed to one's own address, to do what takes more than being signed in. It is for who has no password.
#[utoipa::path(
    post, path = "/me/code", tag = "people", operation_id = "ask_for_my_code",
    request_body = AskForOwnCode,
    responses((status = 202, description = "A code is mailed.", body = OwnCode)),
    security(("api_key" = ["profile:write"]))
)]
pub(super) async fn ask(
    State(app): State<App>,
    caller: Caller,
    from: ClientAddress,
    once: Once,
    Json(ask): Json<AskForOwnCode>,
) -> Answer<(StatusCode, Json<OwnCode>)> {
    let (user, _) = person(caller)?;
    let challenge = once.id(CodeId::derived, CodeId::random);
    // A repeat of a request that had one mailed, and whose answer was lost.
    if !once.is_done() {
        let user = app.stores().users.get(user).await?.ok_or_else(|| Problem::not_found("user"))?;
        let purpose = match ask.purpose {
            OwnPurpose::DeleteAccount => CodePurpose::DeleteAccount,
            OwnPurpose::ChangeEmail => CodePurpose::ChangeEmail,
        };
        let email = Email::parse(&user.email)?;
        app.limits().code_for(&email, purpose, from).await?;
        let issued = app.stores().one_time_codes.issue(challenge, purpose, (user.id, &email)).await?;
        let issued = issued.ok_or_else(|| too_many(&app))?;
        app.relay(TenantId::platform(), &[issued.entry]).await;
    }
    Ok((StatusCode::ACCEPTED, Json(OwnCode { challenge })))
}

/// The next hour of the clock brings new ones.
fn too_many(app: &App) -> Problem {
    let now = app.clock().now();
    let wait = 3_600 - (now.minute() * 60 + now.second()).min(3_599);
    let detail = "The address got as many codes as it gets in an hour.";
    Problem::new(ProblemType::TooManyRequests, detail).retry_after(Duration::from_secs(wait.into()))
}

impl OwnerProof {
    /// A proof that may hold. A wrong password is refused here, and tries are counted like those to sign in; a code is looked at when it
    /// is used up.
    pub(super) async fn checked(self, app: &App, user: &User, from: ClientAddress) -> Answer<Proof> {
        app.limits().sign_in_to(&user.email, from).await?;
        match (self.password, self.challenge, self.code) {
            (Some(password), None, None) => {
                let verdict = app.passwords().verify(user.password_hash.clone(), password).await;
                match (verdict.map_err(Problem::internal)?, user.password_hash.clone()) {
                    (Verdict::Right | Verdict::RightButOld, Some(hash)) => Ok(Proof::Password { hash: hash.into() }),
                    (Verdict::Wrong, _) | (_, None) => Err(refused()),
                }
            }
            (None, Some(id), Some(code)) => Ok(Proof::Code { id, code }),
            _ => {
                let detail = "Send the password; or, for who has none, the challenge and the code of POST /v1/me/code.";
                Err(Problem::new(ProblemType::InvalidBody, detail))
            }
        }
    }
}

/// The one answer to a wrong password and a wrong code.
pub(super) fn refused() -> Problem {
    Problem::new(ProblemType::SignInRefused, "The password or the code is not the right one.")
}
