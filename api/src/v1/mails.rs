//! Mail that came in.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, Utc};
use postrider_shared::ids::{AccountId, MailId, QuoteId, ThreadId};
use postrider_shared::mail::{InboundMail, Intent, MailState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Tenant;
use crate::json::Json;
use crate::page::{Limit, Page, place};
use crate::parameters::{Path, Query};
use crate::problem::Answer;

/// The operations on mails.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get)).routes(routes!(raw)).routes(routes!(resolve))
}

/// A mail that came in.
#[derive(Debug, Serialize, ToSchema)]
pub struct Mail {
    /// Its id.
    id: MailId,
    /// The mailbox it came into.
    account_id: AccountId,
    /// The conversation it belongs to.
    thread_id: ThreadId,
    /// Its Message-ID, without angle brackets.
    rfc_message_id: Option<String>,
    /// The Message-ID it answers.
    in_reply_to: Option<String>,
    /// The Message-IDs before it, oldest first.
    references: Vec<String>,
    /// Who sent it.
    from_address: String,
    /// The name of who sent it.
    from_name: Option<String>,
    /// Its subject.
    subject: String,
    /// When its sender says it was sent.
    sent_at: Option<DateTime<Utc>>,
    /// When the mail server got it.
    received_at: DateTime<Utc>,
    /// Bytes of the raw mail.
    size: i64,
    /// What a person would read in it. Written by a stranger: escape it.
    text: String,
    /// Where it is in its life.
    state: MailState,
    /// What it wants.
    intent: Option<Intent>,
    /// ISO 639-1.
    language: Option<String>,
    /// How sure the reading is, 0 to 1.
    confidence: Option<f64>,
    /// Why it was ignored, failed, or needs a person.
    reason: Option<String>,
    /// The quote that it asked for, changed, decided, repeats, or is about.
    quote_id: Option<QuoteId>,
    /// That quote's revision which it led to, or which it decided.
    quote_revision: Option<i32>,
    /// The mail that it repeats.
    duplicate_of: Option<MailId>,
    /// When it was recorded.
    created_at: DateTime<Utc>,
    /// When it last changed.
    updated_at: DateTime<Utc>,
}

impl From<InboundMail> for Mail {
    fn from(row: InboundMail) -> Self {
        Self {
            id: row.id,
            account_id: row.account_id,
            thread_id: row.thread_id,
            rfc_message_id: row.rfc_message_id,
            in_reply_to: row.in_reply_to,
            references: row.references.0,
            from_address: row.from_address,
            from_name: row.from_name,
            subject: row.subject,
            sent_at: row.sent_at,
            received_at: row.received_at,
            size: row.size,
            text: row.text,
            state: row.state,
            intent: row.intent,
            language: row.language,
            confidence: row.confidence,
            reason: row.reason,
            quote_id: row.quote_id,
            quote_revision: row.quote_revision,
            duplicate_of: row.duplicate_of,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct MailsQuery {
    /// Only mails in this state.
    state: Option<MailState>,
    /// `next_cursor` of the page before; absent for the first page.
    cursor: Option<String>,
    /// Most items in the answer.
    #[serde(default)]
    #[param(value_type = u32, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
}

/// List the tenant's mails.
#[utoipa::path(
    get, path = "/mails", tag = "mails", operation_id = "list_mails",
    params(MailsQuery),
    responses((status = 200, description = "Mails, newest first.", body = Page<Mail>)),
    security(("api_key" = ["mails:read"]))
)]
async fn list(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Query(query): Query<MailsQuery>,
) -> Answer<Json<Page<Mail>>> {
    let cursor = place(query.cursor.as_deref())?;
    let page = app.stores().mail.list(tenant, query.state, cursor, query.limit.into()).await?;
    Ok(Json(Page::of(page)))
}

/// Get a mail.
#[utoipa::path(
    get, path = "/mails/{id}", tag = "mails", operation_id = "get_mail",
    params(("id" = MailId, Path, description = "The mail's id.")),
    responses((status = 200, description = "The mail.", body = Mail)),
    security(("api_key" = ["mails:read"]))
)]
async fn get(State(app): State<App>, Tenant(tenant): Tenant, Path(id): Path<MailId>) -> Answer<Json<Mail>> {
    Ok(Json(app.stores().mail.get(tenant, id).await?.into()))
}

/// Get a mail as it came, byte by byte.
///
/// Strangers wrote it: it is sent as a download, never to be shown by a browser.
#[utoipa::path(
    get, path = "/mails/{id}/raw", tag = "mails", operation_id = "get_raw_mail",
    params(("id" = MailId, Path, description = "The mail's id.")),
    responses((status = 200, description = "The raw mail.", body = Vec<u8>, content_type = "message/rfc822")),
    security(("api_key" = ["mails:read"]))
)]
async fn raw(State(app): State<App>, Tenant(tenant): Tenant, Path(id): Path<MailId>) -> Answer<Response> {
    let mail = app.stores().mail.get(tenant, id).await?;
    let content = app.objects().get(&mail.raw_key).await?;
    let mut response = content.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("message/rfc822"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"mail.eml\""));
    Ok(response)
}

/// Note that a person has dealt with a mail that waited for one, or that could not be read.
///
/// It changes nothing else: a reply is written with a quote, or outside of Postrider. Resolving a mail again changes nothing.
#[utoipa::path(
    post, path = "/mails/{id}/resolve", tag = "mails", operation_id = "resolve_mail",
    params(("id" = MailId, Path, description = "The mail's id.")),
    responses((status = 200, description = "The mail, resolved.", body = Mail)),
    security(("api_key" = ["mails:write"]))
)]
async fn resolve(State(app): State<App>, Tenant(tenant): Tenant, Path(id): Path<MailId>) -> Answer<Json<Mail>> {
    Ok(Json(app.stores().mail.resolve(tenant, id).await?.into()))
}
