//! Registering a business of one's own, where the installation lets strangers do that.

use axum::extract::State;
use axum::http::StatusCode;
use postrider_shared::config::Registration;
use postrider_shared::ids::{CodeId, TenantId, UserId};
use postrider_shared::one_time_codes::{CodePurpose, NewRegistration};
use postrider_shared::tenants::TenantState;
use postrider_shared::users::{Email, Passwords};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tracing::Instrument as _;
use utoipa::ToSchema;

use super::otp::Asked;
use super::signing_in::refused;
use crate::app::App;
use crate::json::Json;
use crate::limits::ClientAddress;
use crate::problem::{Answer, Problem, ProblemType};

/// A person and a business that register.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// The person's address.
    #[schema(max_length = 254)]
    email: String,
    /// The person's name.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// A password of 10 to 200 characters.
    #[schema(value_type = String, min_length = 10, max_length = 200)]
    password: SecretString,
    /// What the business is called.
    #[schema(min_length = 1, max_length = 200)]
    tenant_name: String,
}

/// A code from the mail about a registration.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// From the answer to the registration.
    challenge: CodeId,
    /// The digits from the mail.
    #[schema(pattern = "^[0-9]{6}$")]
    code: String,
}

/// Who registered.
#[derive(Debug, Serialize, ToSchema)]
pub struct Registered {
    /// The person, who can sign in now.
    user_id: UserId,
    /// The business.
    tenant_id: TenantId,
    /// Whether it can be used, or waits for approval.
    tenant_state: TenantState,
}

/// Register a business. A code is mailed to the address; one that has a user gets word of that instead, and the answer is the same.
#[utoipa::path(
    post, path = "/auth/register", tag = "signing in", operation_id = "register",
    request_body = Register,
    responses((status = 202, description = "The address is mailed.", body = Asked)),
    security(())
)]
pub(super) async fn register(
    State(app): State<App>,
    from: ClientAddress,
    Json(new): Json<Register>,
) -> Answer<(StatusCode, Json<Asked>)> {
    state(&app)?;
    let email = Email::parse(&new.email)?;
    Passwords::check(&new.password)?;
    app.limits().sign_in_to(email.as_str(), from).await?;
    for (pointer, text) in [("/name", &new.name), ("/tenant_name", &new.tenant_name)] {
        if text.trim().is_empty() || text.chars().any(char::is_control) || text.chars().count() > 200 {
            return Err(Problem::field(pointer, "must be one line of 1 to 200 characters"));
        }
    }
    app.limits().code_for(&email, CodePurpose::Register, from).await?;
    let password_hash = app.passwords().hash(new.password).await.map_err(Problem::internal)?;
    let challenge = CodeId::random();
    let registration = NewRegistration { email, name: new.name, password_hash, tenant_name: new.tenant_name };
    let work = app.clone();
    // The answer does not wait: whether the address has a user must not show in the time it takes.
    let mailing = async move {
        match work.stores().one_time_codes.register(challenge, registration).await {
            Ok(Some(issued)) => work.relay(TenantId::platform(), &[issued.entry]).await,
            Ok(None) => tracing::info!("too many registrations of an address in this hour"),
            Err(error) => tracing::error!(%error, "a registration cannot be kept"),
        }
    };
    app.tasks().spawn(mailing.in_current_span());
    Ok((StatusCode::ACCEPTED, Json(Asked { challenge })))
}

/// Finish a registration with the code that was mailed: the person can sign in and is the business's administrator.
#[utoipa::path(
    post, path = "/auth/register/confirm", tag = "signing in", operation_id = "confirm_registration",
    request_body = Confirm,
    responses((status = 201, description = "The person and the business.", body = Registered)),
    security(())
)]
pub(super) async fn confirm(
    State(app): State<App>,
    Json(confirm): Json<Confirm>,
) -> Answer<(StatusCode, Json<Registered>)> {
    let state = state(&app)?;
    let codes = &app.stores().one_time_codes;
    let done = codes.registered(confirm.challenge, &confirm.code, state).await?.ok_or_else(refused)?;
    tracing::info!(user.id = %done.user.id, tenant.id = %done.tenant.id, "registered");
    let (user_id, tenant_id) = (done.user.id, done.tenant.id);
    Ok((StatusCode::CREATED, Json(Registered { user_id, tenant_id, tenant_state: done.tenant.state })))
}

/// What a business that registers begins as; nothing where nobody may.
pub(super) const fn begins_as(registration: Registration) -> Option<TenantState> {
    match registration {
        Registration::Open => Some(TenantState::Active),
        Registration::Approval => Some(TenantState::Pending),
        Registration::Closed => None,
    }
}

fn state(app: &App) -> Answer<TenantState> {
    let refused = || Problem::new(ProblemType::Forbidden, "People are invited here; nobody registers.");
    begins_as(app.registration()).ok_or_else(refused)
}
