//! Accounts: mailboxes that are read and sent from.

mod events;
mod google;
mod limits;
mod settings;

use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use postrider_shared::accounts::{
    self, AccountSettings, AccountState, LoginMethod, MailServer, NewAccount as NewRow, Security, Transport,
};
use postrider_shared::ids::{AccountId, TenantId};
use postrider_shared::messages::{MessageFilter, MessageState};
use postrider_shared::time_zone::TimeZone;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Tenant;
use crate::idempotency::Once;
use crate::json::Json;
use crate::page::{MAX_LIMIT, Page, PageQuery};
use crate::parameters::{Path, Query};
use crate::problem::{Answer, Problem};

pub use events::AccountEvent;
pub use google::{Consent, GoogleConnection, NewGoogleAccount};
pub use settings::{AccountChange, NewAccount};

/// The operations on accounts.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(get, change, disconnect))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .merge(google::router())
        .merge(events::router())
}

/// A connected mailbox. Its password is never shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct Account {
    /// Its id.
    id: AccountId,
    /// The mail address.
    address: String,
    /// The name mail is sent under.
    display_name: String,
    /// Who the mailbox is to its provider: the same one connected twice shares its limits.
    identity: String,
    /// Where mail is read.
    imap_host: String,
    /// Its port.
    imap_port: i32,
    /// How that connection is protected.
    imap_security: Security,
    /// The name to log in with there.
    imap_username: String,
    /// Where mail is sent.
    smtp_host: String,
    /// Its port.
    smtp_port: i32,
    /// How that connection is protected.
    smtp_security: Security,
    /// The name to log in with there.
    smtp_username: String,
    /// What it is logged in to with.
    login: LoginMethod,
    /// How mail is handed over.
    transport: Transport,
    /// Most mails sent per calendar day.
    daily_cap: i32,
    /// Where that day begins.
    time_zone: TimeZone,
    /// How often it is read, in seconds.
    poll_interval_seconds: i32,
    /// Whether it is read and sent from. A Google account is `connecting` until its owner consented, and `needs_consent` when
    /// the consent came to nothing or was revoked.
    state: AccountState,
    /// Why it is paused, or what its owner has to consent again for.
    pause_reason: Option<String>,
    /// Why the access token of a Google account could not be renewed the last time, although its grant may be good: Google was
    /// away, or the installation's OAuth client is not accepted. What is to be read and sent waits. Shown when one account is asked for.
    login_problem: Option<String>,
    /// Its provider's own sending limit was reached: mail is read, and nothing is sent before this time. Resuming the account
    /// tries again at once. A time that has passed means nothing.
    limited_until: Option<DateTime<Utc>>,
    /// Mail from before is not read.
    connected_at: DateTime<Utc>,
    /// When it was added.
    created_at: DateTime<Utc>,
    /// When it was last changed.
    updated_at: DateTime<Utc>,
}

impl From<accounts::Account> for Account {
    fn from(row: accounts::Account) -> Self {
        Self {
            id: row.id,
            address: row.address,
            display_name: row.display_name,
            identity: row.identity,
            imap_host: row.imap_host,
            imap_port: row.imap_port,
            imap_security: row.imap_security,
            imap_username: row.imap_username,
            smtp_host: row.smtp_host,
            smtp_port: row.smtp_port,
            smtp_security: row.smtp_security,
            smtp_username: row.smtp_username,
            login: row.login,
            transport: row.transport,
            daily_cap: row.daily_cap,
            time_zone: row.time_zone,
            poll_interval_seconds: row.poll_interval_seconds,
            state: row.state,
            pause_reason: row.pause_reason,
            login_problem: None,
            limited_until: row.limited_until,
            connected_at: row.connected_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// Connect a mailbox: it is read from now on, at its interval.
#[utoipa::path(
    post, path = "/accounts", tag = "accounts", operation_id = "create_account",
    request_body = NewAccount,
    responses((status = 201, description = "The account, active at once.", body = Account)),
    security(("api_key" = ["accounts:write"]))
)]
async fn create(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    once: Once,
    Json(new): Json<NewAccount>,
) -> Answer<(StatusCode, Json<Account>)> {
    let (settings, password) = new.into_parts(default_zone(&app, tenant).await?);
    let password = given(password)?;
    may_be_called(&app, None, &settings)?;
    let id = once.id(AccountId::derived, AccountId::random);
    let account = app.stores().accounts.create_as(tenant, id, NewRow { settings, password }).await?;
    limits::define(&app, &account).await;
    Ok((StatusCode::CREATED, Json(account.into())))
}

/// List the tenant's accounts.
#[utoipa::path(
    get, path = "/accounts", tag = "accounts", operation_id = "list_accounts",
    params(PageQuery),
    responses((status = 200, description = "Accounts, newest first.", body = Page<Account>)),
    security(("api_key" = ["accounts:read"]))
)]
async fn list(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Query(query): Query<PageQuery>,
) -> Answer<Json<Page<Account>>> {
    let page = app.stores().accounts.list(tenant, query.place()?, query.limit.into()).await?;
    Ok(Json(Page::of(page)))
}

/// Get an account.
#[utoipa::path(
    get, path = "/accounts/{id}", tag = "accounts", operation_id = "get_account",
    params(("id" = AccountId, Path, description = "The account's id.")),
    responses((status = 200, description = "The account.", body = Account)),
    security(("api_key" = ["accounts:read"]))
)]
async fn get(State(app): State<App>, Tenant(tenant): Tenant, Path(id): Path<AccountId>) -> Answer<Json<Account>> {
    let account = app.stores().accounts.get(tenant, id).await?;
    let login_problem = app.stores().grants.problems(tenant, &[id]).await?.remove(&id);
    Ok(Json(Account { login_problem, ..account.into() }))
}

/// Change an account. A new password replaces the old one.
#[utoipa::path(
    patch, path = "/accounts/{id}", tag = "accounts", operation_id = "change_account",
    params(("id" = AccountId, Path, description = "The account's id.")),
    request_body = AccountChange,
    responses((status = 200, description = "The account, changed.", body = Account)),
    security(("api_key" = ["accounts:write"]))
)]
async fn change(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Path(id): Path<AccountId>,
    Json(change): Json<AccountChange>,
) -> Answer<Json<Account>> {
    let merge = |old: &accounts::Account| {
        let transport = change.transport;
        let (settings, password) = change.applied(old.settings());
        let password = password.map(given).transpose()?;
        may_be_called(&app, Some(old), &settings)?;
        logs_in_where_the_owner_said(old, &settings, password.as_ref())?;
        Ok::<_, Problem>(accounts::AccountChange { settings, password, transport })
    };
    let account = app.stores().accounts.change(tenant, id, merge).await?;
    limits::define(&app, &account).await;
    Ok(Json(account.into()))
}

/// Refuses addresses in networks that are not called for tenants, unless the account has them already. Names are looked up by the
/// worker, when it connects.
fn may_be_called(app: &App, old: Option<&accounts::Account>, new: &AccountSettings) -> Answer<()> {
    let hosts = [
        ("/imap_host", &new.imap.host, old.map(|old| old.imap_host.as_str())),
        ("/smtp_host", &new.smtp.host, old.map(|old| old.smtp_host.as_str())),
    ];
    for (pointer, host, old) in hosts {
        if old != Some(host.as_str()) && !app.egress().allows_host(host) {
            return Err(Problem::field(pointer, "It is in a network that this installation does not allow."));
        }
    }
    Ok(())
}

/// Refuses to send what we keep of a login to another server, or in the clear: whoever may change an account could otherwise have it
/// brought to a server of their own, though no answer shows it.
fn logs_in_where_the_owner_said(
    old: &accounts::Account,
    new: &AccountSettings,
    password: Option<&SecretString>,
) -> Answer<()> {
    let place = |server: &MailServer| (server.host.to_lowercase(), server.port, server.security);
    if place(&old.imap()) == place(&new.imap) && place(&old.smtp()) == place(&new.smtp) {
        return Ok(());
    }
    match old.login {
        LoginMethod::Google => {
            Err(Problem::field("/imap_host", "An account that logs in with Google stays at its servers."))
        }
        LoginMethod::Password if password.is_none() => {
            Err(Problem::field("/password", "Another server, port or protection needs the password again."))
        }
        LoginMethod::Password => Ok(()),
    }
}

/// Disconnect a mailbox: its password is forgotten, or its tokens are given back to Google and forgotten, and it is neither read
/// nor sent from again. Its mails and quotes stay.
#[utoipa::path(
    delete, path = "/accounts/{id}", tag = "accounts", operation_id = "disconnect_account",
    params(("id" = AccountId, Path, description = "The account's id.")),
    responses((status = 204, description = "The mailbox is disconnected.")),
    security(("api_key" = ["accounts:write"]))
)]
async fn disconnect(State(app): State<App>, Tenant(tenant): Tenant, Path(id): Path<AccountId>) -> Answer<StatusCode> {
    let (account, entry) = app.stores().accounts.disconnect(tenant, id).await?;
    limits::define(&app, &account).await;
    if let Some(entry) = entry {
        app.relay(tenant, &[entry]).await;
    }
    skip_planned(&app, tenant, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Why an account is paused.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// For the people who wonder.
    #[schema(max_length = 2000)]
    reason: Option<String>,
}

/// Pause an account: it is neither read nor sent from until it is resumed. What is due waits.
#[utoipa::path(
    post, path = "/accounts/{id}/pause", tag = "accounts", operation_id = "pause_account",
    params(("id" = AccountId, Path, description = "The account's id.")),
    request_body = Option<Pause>,
    responses((status = 200, description = "The account, paused.", body = Account)),
    security(("api_key" = ["accounts:write"]))
)]
async fn pause(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Path(id): Path<AccountId>,
    pause: Option<Json<Pause>>,
) -> Answer<Json<Account>> {
    let reason = pause.and_then(|Json(pause)| pause.reason);
    let reason = reason.as_deref().unwrap_or("paused by request");
    let account = app.stores().accounts.pause(tenant, id, reason).await?;
    limits::define(&app, &account).await;
    Ok(Json(account.into()))
}

/// Resume an account that was paused, or that waits for the end of its provider's sending limit.
#[utoipa::path(
    post, path = "/accounts/{id}/resume", tag = "accounts", operation_id = "resume_account",
    params(("id" = AccountId, Path, description = "The account's id.")),
    responses((status = 200, description = "The account, active.", body = Account)),
    security(("api_key" = ["accounts:write"]))
)]
async fn resume(State(app): State<App>, Tenant(tenant): Tenant, Path(id): Path<AccountId>) -> Answer<Json<Account>> {
    let account = app.stores().accounts.resume(tenant, id).await?;
    limits::define(&app, &account).await;
    Ok(Json(account.into()))
}

/// What was planned to go out of a disconnected mailbox is not sent any more, and says why.
async fn skip_planned(app: &App, tenant: TenantId, id: AccountId) -> Answer<()> {
    let planned =
        MessageFilter { account_id: Some(id), state: Some(MessageState::Planned), ..MessageFilter::default() };
    loop {
        let page = app.stores().messages.list(tenant, planned, None, MAX_LIMIT.into()).await?;
        for message in &page.items {
            app.stores().messages.skip(tenant, message.id, "its mailbox was disconnected").await?;
        }
        if page.next.is_none() {
            return Ok(());
        }
    }
}

async fn default_zone(app: &App, tenant: TenantId) -> Answer<TimeZone> {
    Ok(app.stores().tenants.get(tenant).await?.time_zone)
}

/// An empty password is a form that was not filled in.
fn given(password: SecretString) -> Answer<SecretString> {
    use secrecy::ExposeSecret as _;
    if password.expose_secret().is_empty() || password.expose_secret().len() > settings::MAX_PASSWORD_BYTES {
        let detail = format!("password must have 1 to {} bytes.", settings::MAX_PASSWORD_BYTES);
        return Err(Problem::field("/password", detail));
    }
    Ok(password)
}
