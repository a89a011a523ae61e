//! What becomes of a quote after it was sent: decided, renewed, revised; and how it got there.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, NaiveDate, Utc};
use postrider_shared::ids::{QuoteId, TenantId};
use postrider_shared::quotes::{Actor, Decision, IssuedQuote, QuoteEvent, QuoteState, Revision, Step};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::approval::{self, Approval};
use super::{QuoteWithLines, as_it_is, by, pdf_of, price, under_way, whole};
use crate::app::App;
use crate::auth::{Caller, Tenant};
use crate::decimal::DecimalText;
use crate::idempotency::Once;
use crate::json::Json;
use crate::parameters::Path;
use crate::problem::{Answer, Problem, ProblemType};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(accept))
        .routes(routes!(decline))
        .routes(routes!(renew))
        .routes(routes!(revise))
        .routes(routes!(events))
        .routes(routes!(revisions))
        .routes(routes!(revision_pdf))
}

/// What a customer's decision is about.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionOn {
    /// The revision that the customer saw; the quote's own if absent.
    revision: Option<u32>,
}

/// Note that the customer accepts a quote.
///
/// A quote that is accepted already stays so. One that is over, declined, or replaced by a later revision is refused.
#[utoipa::path(
    post, path = "/quotes/{id}/accept", tag = "quotes", operation_id = "accept_quote",
    params(("id" = QuoteId, Path, description = "The quote's id.")),
    request_body = Option<DecisionOn>,
    responses((status = 200, description = "The accepted quote.", body = QuoteWithLines)),
    security(("api_key" = ["quotes:write"]))
)]
async fn accept(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    caller: Caller,
    Path(id): Path<QuoteId>,
    on: Option<Json<DecisionOn>>,
) -> Answer<Json<QuoteWithLines>> {
    decide(&app, (tenant, id), caller, on, Decision::Accept).await
}

/// Note that the customer declines a quote.
#[utoipa::path(
    post, path = "/quotes/{id}/decline", tag = "quotes", operation_id = "decline_quote",
    params(("id" = QuoteId, Path, description = "The quote's id.")),
    request_body = Option<DecisionOn>,
    responses((status = 200, description = "The declined quote.", body = QuoteWithLines)),
    security(("api_key" = ["quotes:write"]))
)]
async fn decline(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    caller: Caller,
    Path(id): Path<QuoteId>,
    on: Option<Json<DecisionOn>>,
) -> Answer<Json<QuoteWithLines>> {
    decide(&app, (tenant, id), caller, on, Decision::Decline).await
}

async fn decide(
    app: &App,
    (tenant, id): (TenantId, QuoteId),
    caller: Caller,
    on: Option<Json<DecisionOn>>,
    decision: Decision,
) -> Answer<Json<QuoteWithLines>> {
    let revision = on.and_then(|Json(on)| on.revision);
    let quote = match app.stores().quotes.decide(tenant, id, revision, decision, &by(caller)).await? {
        Step::Taken(quote) => quote,
        Step::NotTaken(quote) if revision.is_some_and(|revision| revision != quote.revision()) => {
            let detail = format!("The quote is at revision {} now: decide on that one.", quote.revision());
            return Err(Problem::new(ProblemType::StateConflict, detail));
        }
        Step::NotTaken(quote) if quote.state == decision.state() => quote,
        Step::NotTaken(quote) => {
            let detail = format!("The quote is {}: {}.", quote.state, quote.state.way_out());
            return Err(Problem::new(ProblemType::StateConflict, detail));
        }
    };
    whole(app, tenant, quote).await.map(Json)
}

/// Offer a quote again.
///
/// The same lines under the next revision, at today's prices and with a new last day; for a quote that is sent, declined
/// or expired. What the customer got before stays in its revisions.
#[utoipa::path(
    post, path = "/quotes/{id}/renew", tag = "quotes", operation_id = "renew_quote",
    params(("id" = QuoteId, Path, description = "The quote's id.")),
    responses((status = 202, description = "The quote, on its way to being priced.", body = QuoteWithLines)),
    security(("api_key" = ["quotes:write"]))
)]
async fn renew(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    caller: Caller,
    once: Once,
    Path(id): Path<QuoteId>,
) -> Answer<(StatusCode, Json<QuoteWithLines>)> {
    if once.is_done() {
        return as_it_is(&app, tenant, id).await;
    }
    let revised = app.stores().quotes.renew(tenant, id, by(caller), &price(tenant, id)?).await?;
    under_way(&app, tenant, revised.quote, revised.outbox).await
}

/// Change what a quote offers.
///
/// With `items`, these are its lines from now on, under the next revision; without, it keeps the ones it has. It is priced,
/// rendered and sent like any other. Accepted quotes stay as they are.
#[utoipa::path(
    post, path = "/quotes/{id}/revise", tag = "quotes", operation_id = "revise_quote",
    params(("id" = QuoteId, Path, description = "The quote's id.")),
    request_body = Option<Approval>,
    responses((status = 202, description = "The quote, on its way to being priced.", body = QuoteWithLines)),
    security(("api_key" = ["quotes:write"]))
)]
async fn revise(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    caller: Caller,
    once: Once,
    Path(id): Path<QuoteId>,
    approval: Option<Json<Approval>>,
) -> Answer<(StatusCode, Json<QuoteWithLines>)> {
    if once.is_done() {
        return as_it_is(&app, tenant, id).await;
    }
    let lines = approval::given(&app, tenant, id, approval).await?;
    let revision = Revision { lines, review: None, by: by(caller) };
    let revised = app.stores().quotes.revise(tenant, id, revision, &price(tenant, id)?).await?;
    under_way(&app, tenant, revised.quote, revised.outbox).await
}

/// All of a quote's changes.
#[derive(Debug, Serialize, ToSchema)]
pub struct Events {
    /// Oldest first, at most 1,000.
    items: Vec<Event>,
}

/// One change of a quote.
#[derive(Debug, Serialize, ToSchema)]
pub struct Event {
    /// Counts from 1.
    position: i32,
    /// The quote's revision after it.
    revision: i32,
    /// Null when the quote was made.
    from_state: Option<QuoteState>,
    /// Where it went.
    to_state: QuoteState,
    /// Who.
    actor: Actor,
    /// By what means, such as `link` or `key …`.
    via: Option<String>,
    /// Why, if there was something to say.
    reason: Option<String>,
    /// When.
    at: DateTime<Utc>,
}

impl From<QuoteEvent> for Event {
    fn from(row: QuoteEvent) -> Self {
        Self {
            position: row.position,
            revision: row.revision,
            from_state: row.from_state,
            to_state: row.to_state,
            actor: row.actor,
            via: row.via,
            reason: row.reason,
            at: row.created_at,
        }
    }
}

/// List what happened to a quote.
#[utoipa::path(
    get, path = "/quotes/{id}/events", tag = "quotes", operation_id = "list_quote_events",
    params(("id" = QuoteId, Path, description = "The quote's id.")),
    responses((status = 200, description = "Its changes, oldest first.", body = Events)),
    security(("api_key" = ["quotes:read"]))
)]
async fn events(State(app): State<App>, Tenant(tenant): Tenant, Path(id): Path<QuoteId>) -> Answer<Json<Events>> {
    app.stores().quotes.get(tenant, id).await?;
    let rows = app.stores().quotes.events(tenant, id).await?;
    Ok(Json(Events { items: rows.into_iter().map(Into::into).collect() }))
}

/// What the customer was sent before.
#[derive(Debug, Serialize, ToSchema)]
pub struct Revisions {
    /// Oldest first; the quote's own revision is not among them.
    items: Vec<Issued>,
}

/// A revision that was replaced.
#[derive(Debug, Serialize, ToSchema)]
pub struct Issued {
    /// Which.
    revision: i32,
    /// The number on its PDF.
    number: Option<String>,
    /// Where the quote was when it was replaced.
    state: QuoteState,
    /// ISO 4217.
    currency: String,
    /// The sum of its lines.
    subtotal: Option<DecimalText>,
    /// The tax on it.
    tax: Option<DecimalText>,
    /// What the customer would have paid.
    total: Option<DecimalText>,
    /// The last day it held.
    valid_until: Option<NaiveDate>,
    /// Its lines with their prices.
    #[schema(value_type = Vec<Object>)]
    lines: Value,
    /// When it was replaced.
    replaced_at: DateTime<Utc>,
}

impl From<IssuedQuote> for Issued {
    fn from(row: IssuedQuote) -> Self {
        Self {
            revision: row.revision,
            number: row.number,
            state: row.state,
            currency: row.currency,
            subtotal: row.subtotal.map(Into::into),
            tax: row.tax.map(Into::into),
            total: row.total.map(Into::into),
            valid_until: row.valid_until,
            lines: row.lines,
            replaced_at: row.created_at,
        }
    }
}

/// List what the customer was sent before the quote's own revision.
#[utoipa::path(
    get, path = "/quotes/{id}/revisions", tag = "quotes", operation_id = "list_quote_revisions",
    params(("id" = QuoteId, Path, description = "The quote's id.")),
    responses((status = 200, description = "Replaced revisions, oldest first.", body = Revisions)),
    security(("api_key" = ["quotes:read"]))
)]
async fn revisions(State(app): State<App>, Tenant(tenant): Tenant, Path(id): Path<QuoteId>) -> Answer<Json<Revisions>> {
    app.stores().quotes.get(tenant, id).await?;
    let rows = app.stores().quotes.issued(tenant, id).await?;
    Ok(Json(Revisions { items: rows.into_iter().map(Into::into).collect() }))
}

/// Get the PDF of a replaced revision.
#[utoipa::path(
    get, path = "/quotes/{id}/revisions/{revision}/pdf", tag = "quotes", operation_id = "get_quote_revision_pdf",
    params(
        ("id" = QuoteId, Path, description = "The quote's id."),
        ("revision" = i32, Path, description = "The revision.")
    ),
    responses((status = 200, description = "The PDF.", body = Vec<u8>, content_type = "application/pdf")),
    security(("api_key" = ["quotes:read"]))
)]
async fn revision_pdf(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Path((id, revision)): Path<(QuoteId, i32)>,
) -> Answer<Response> {
    let kept = app.stores().quotes.issued(tenant, id).await?;
    let Some(kept) = kept.into_iter().find(|kept| kept.revision == revision) else {
        return Err(Problem::new(ProblemType::NotFound, "The quote has no such replaced revision."));
    };
    pdf_of(&app, &kept.pdf_key, kept.number.as_deref()).await
}
