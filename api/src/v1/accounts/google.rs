//! Mailboxes of Google accounts: added here, and used from their owner's consent on.

use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use postrider_shared::accounts::{self, AccountSettings, LoginMethod};
use postrider_shared::config::ConsentConfig;
use postrider_shared::ids::AccountId;
use postrider_shared::time_zone::TimeZone;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Account, default_zone, limits};
use crate::app::App;
use crate::auth::Tenant;
use crate::idempotency::Once;
use crate::json::Json;
use crate::parameters::Path;
use crate::problem::{Answer, MEDIA_TYPE, Problem, ProblemDocument, ProblemType};

/// What lets us read mail over IMAP, send it over SMTP, and do both over the Gmail API.
const SCOPE: &str = "https://mail.google.com/";

/// The operations on mailboxes of Google accounts.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(ask))
}

/// A mailbox of a Google account to be connected.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGoogleAccount {
    /// The mail address. Its owner has to consent, nobody else.
    #[schema(min_length = 3, max_length = 254, example = "quotes@gmail.com")]
    address: String,
    /// The name mail is sent under; the address if absent.
    #[schema(min_length = 1, max_length = 200)]
    display_name: Option<String>,
    /// Most mails sent per calendar day; 250 if absent.
    #[schema(minimum = 0, maximum = 1_000_000)]
    daily_cap: Option<u32>,
    /// Where that day begins; the tenant's time zone if absent.
    time_zone: Option<TimeZone>,
    /// How often it is read, in seconds; 600 if absent.
    #[schema(minimum = 1, maximum = 86400)]
    poll_interval_seconds: Option<u32>,
}

impl NewGoogleAccount {
    fn settings(self, config: &ConsentConfig, zone: TimeZone) -> AccountSettings {
        let server = |server: &accounts::MailServer| accounts::MailServer {
            username: self.address.trim().to_owned(),
            ..server.clone()
        };
        AccountSettings {
            display_name: self.display_name.unwrap_or_else(|| self.address.clone()),
            imap: server(&config.imap),
            smtp: server(&config.smtp),
            address: self.address,
            daily_cap: self.daily_cap.unwrap_or(AccountSettings::DAILY_CAP),
            time_zone: self.time_zone.unwrap_or(zone),
            poll_interval_seconds: self.poll_interval_seconds.unwrap_or(AccountSettings::POLL_INTERVAL_SECONDS),
        }
    }
}

/// Where a mailbox's owner consents.
#[derive(Debug, Serialize, ToSchema)]
pub struct Consent {
    /// Google's page: send the mailbox's owner there. It is good for one answer, and a newer one makes it void.
    url: String,
    /// Until when.
    expires_at: DateTime<Utc>,
}

/// A mailbox that waits for its owner's consent.
#[derive(Debug, Serialize, ToSchema)]
pub struct GoogleConnection {
    /// The account, in the state `connecting` until its owner consented.
    account: Account,
    /// Where its owner consents.
    consent: Consent,
}

/// Add the mailbox of a Google account. Send its owner to the consent's URL: after the consent it is read and sent from.
#[utoipa::path(
    post, path = "/accounts/google", tag = "accounts", operation_id = "create_google_account",
    request_body = NewGoogleAccount,
    responses(
        (status = 201, description = "The account, and where its owner consents.", body = GoogleConnection),
        (status = 501, description = "There is no OAuth client.", body = ProblemDocument, content_type = MEDIA_TYPE)
    ),
    security(("api_key" = ["accounts:write"]))
)]
async fn create(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    once: Once,
    Json(new): Json<NewGoogleAccount>,
) -> Answer<(StatusCode, Json<GoogleConnection>)> {
    let config = configured(&app)?;
    let settings = new.settings(config, default_zone(&app, tenant).await?);
    let id = once.id(AccountId::derived, AccountId::random);
    let account = app.stores().accounts.create_google_as(tenant, id, settings).await?;
    limits::define(&app, &account).await;
    let consent = begin(&app, config, &account).await?;
    Ok((StatusCode::CREATED, Json(GoogleConnection { account: account.into(), consent })))
}

/// Ask the owner of a Google account for consent (again): after a revoked grant, a refused or expired consent.
#[utoipa::path(
    post, path = "/accounts/{id}/consent", tag = "accounts", operation_id = "ask_consent",
    params(("id" = AccountId, Path, description = "The account's id.")),
    responses(
        (status = 200, description = "Where the owner consents.", body = Consent),
        (status = 501, description = "There is no OAuth client.", body = ProblemDocument, content_type = MEDIA_TYPE)
    ),
    security(("api_key" = ["accounts:write"]))
)]
async fn ask(State(app): State<App>, Tenant(tenant): Tenant, Path(id): Path<AccountId>) -> Answer<Json<Consent>> {
    let account = app.stores().accounts.get(tenant, id).await?;
    let config = configured(&app)?;
    if account.login != LoginMethod::Google {
        return Err(Problem::new(ProblemType::StateConflict, "The account logs in with a password."));
    }
    Ok(Json(begin(&app, config, &account).await?))
}

fn configured(app: &App) -> Answer<&ConsentConfig> {
    app.consent().ok_or_else(|| Problem::new(ProblemType::GoogleNotConfigured, ""))
}

async fn begin(app: &App, config: &ConsentConfig, account: &accounts::Account) -> Answer<Consent> {
    let asked = app.stores().consents.ask(account).await?;
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", &config.client_id)
        .append_pair("redirect_uri", &config.redirect_url)
        .append_pair("response_type", "code")
        .append_pair("scope", SCOPE)
        // A refresh token, also for an owner who consented before.
        .append_pair("access_type", "offline")
        .append_pair("prompt", "consent")
        .append_pair("login_hint", &account.address)
        .append_pair("state", &asked.state)
        .append_pair("code_challenge", &asked.challenge)
        .append_pair("code_challenge_method", "S256")
        .finish();
    let separator = if config.auth_url.contains('?') { '&' } else { '?' };
    Ok(Consent { url: format!("{}{separator}{query}", config.auth_url), expires_at: asked.consent.expires_at })
}
