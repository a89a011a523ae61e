//! Giving one's account another address.

use axum::extract::State;
use axum::http::StatusCode;
use postrider_shared::ids::{CodeId, TenantId};
use postrider_shared::one_time_codes::CodePurpose;
use postrider_shared::users::Email;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use utoipa::ToSchema;

use super::proof::{OwnCode, OwnerProof, refused};
use super::{Me, person, view};
use crate::app::App;
use crate::auth::Caller;
use crate::idempotency::Once;
use crate::json::Json;
use crate::limits::ClientAddress;
use crate::problem::{Answer, Problem};

/// Another address, and what shows that the account's owner asks: the password; or `challenge` and `code` for who has none.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EmailChange {
    /// The address that the account is to have.
    #[schema(max_length = 254)]
    email: String,
    /// The password that holds.
    #[schema(value_type = Option<String>, max_length = 200)]
    password: Option<SecretString>,
    /// From the answer of `POST /v1/me/code`.
    challenge: Option<CodeId>,
    /// The digits from the mail to the address that holds.
    #[schema(value_type = Option<String>, pattern = "^[0-9]{6}$")]
    code: Option<SecretString>,
}

/// What proves the other address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EmailConfirmation {
    /// From the answer of `POST /v1/me/email`.
    challenge: CodeId,
    /// The digits from the mail to the other address.
    #[schema(value_type = String, pattern = "^[0-9]{6}$")]
    code: SecretString,
}

/// Have a code mailed to the address that one's account is to have. An address that has an account gets word of that instead, and the
/// answer is the same.
///
/// It takes the password, or a code (`POST /v1/me/code`) for who has none. Until the code from the other address comes back
/// (`POST /v1/me/email/confirm`) nothing changes.
#[utoipa::path(
    post, path = "/me/email", tag = "people", operation_id = "change_my_email",
    request_body = EmailChange,
    responses((status = 202, description = "The other address is mailed.", body = OwnCode)),
    security(("api_key" = ["profile:write"]))
)]
pub(super) async fn ask(
    State(app): State<App>,
    caller: Caller,
    once: Once,
    from: ClientAddress,
    Json(change): Json<EmailChange>,
) -> Answer<(StatusCode, Json<OwnCode>)> {
    let (user, _) = person(caller)?;
    let email = Email::parse(&change.email)?;
    let challenge = once.id(CodeId::derived, CodeId::random);
    // A repeat of a request that had one mailed, and whose answer was lost.
    if !once.is_done() {
        let found = app.stores().users.get(user).await?.ok_or_else(|| Problem::not_found("user"))?;
        if found.email == email.as_str() {
            return Err(Problem::field("/email", "is your address already"));
        }
        let proof = OwnerProof { password: change.password, challenge: change.challenge, code: change.code };
        let proof = proof.checked(&app, &found, from).await?;
        app.limits().sign_in_to(email.as_str(), from).await?;
        app.limits().code_for(&email, CodePurpose::NewEmail, from).await?;
        let entries = app.stores().profiles.ask_email(challenge, user, &proof, &email).await?.ok_or_else(refused)?;
        app.relay(TenantId::platform(), &entries).await;
    }
    Ok((StatusCode::ACCEPTED, Json(OwnCode { challenge })))
}

/// Give one's account the address that got the code. All other sessions end, and the old address gets word of it.
///
/// Codes that went to the old address are void. An account that began on the word of an issuer that does not manage the address loses
/// that identity, which can be linked again.
#[utoipa::path(
    post, path = "/me/email/confirm", tag = "people", operation_id = "confirm_my_email",
    request_body = EmailConfirmation,
    responses((status = 200, description = "Whoever calls, with the other address.", body = Me)),
    security(("api_key" = ["profile:write"]))
)]
pub(super) async fn confirm(
    State(app): State<App>,
    caller: Caller,
    once: Once,
    Json(confirmation): Json<EmailConfirmation>,
) -> Answer<Json<Me>> {
    let own = person(caller)?;
    if !once.is_done() {
        let EmailConfirmation { challenge, code } = confirmation;
        let changed = app.stores().profiles.change_email(own, challenge, code.expose_secret()).await?;
        changed.ok_or_else(refused)?;
        tracing::info!(user.id = %own.0, "a person has another address");
    }
    app.people().forget();
    view(&app, caller).await.map(Json)
}
