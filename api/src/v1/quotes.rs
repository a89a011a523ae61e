//! Quotes: what was asked for, what it costs, and the PDF that says so.

mod approval;
mod life;
mod view;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use postrider_queue::NewJob;
use postrider_shared::ids::{AccountId, OutboxId, QuoteId, TenantId, ThreadId};
use postrider_shared::jobs::PriceQuote;
use postrider_shared::quotes::{self, By, QuoteFilter, QuoteState};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::{Caller, Tenant};
use crate::idempotency::Once;
use crate::json::Json;
use crate::page::{Limit, Page, place};
use crate::parameters::{Path, Query};
use crate::problem::{Answer, Problem, ProblemType};

pub use approval::Approval;
pub use view::{Quote, QuoteWithLines};

/// The operations on quotes.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(pdf))
        .routes(routes!(approve))
        .merge(life::router())
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct QuotesQuery {
    /// Only quotes in this state.
    state: Option<QuoteState>,
    /// Only quotes of this mailbox.
    #[param(value_type = Option<uuid::Uuid>)]
    account_id: Option<AccountId>,
    /// Only quotes of this conversation.
    #[param(value_type = Option<uuid::Uuid>)]
    thread_id: Option<ThreadId>,
    /// `next_cursor` of the page before; absent for the first page.
    cursor: Option<String>,
    /// Most items in the answer.
    #[serde(default)]
    #[param(value_type = u32, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
}

/// List the tenant's quotes, without their lines.
#[utoipa::path(
    get, path = "/quotes", tag = "quotes", operation_id = "list_quotes",
    params(QuotesQuery),
    responses((status = 200, description = "Quotes, newest first.", body = Page<Quote>)),
    security(("api_key" = ["quotes:read"]))
)]
async fn list(
    State(app): State<App>,
    Tenant(tenant): Tenant,
    Query(query): Query<QuotesQuery>,
) -> Answer<Json<Page<Quote>>> {
    let cursor = place(query.cursor.as_deref())?;
    let filter = QuoteFilter { state: query.state, account_id: query.account_id, thread_id: query.thread_id };
    let page = app.stores().quotes.list(tenant, filter, cursor, query.limit.into()).await?;
    Ok(Json(Page::of(page)))
}

/// Get a quote with its lines and how their prices came about.
#[utoipa::path(
    get, path = "/quotes/{id}", tag = "quotes", operation_id = "get_quote",
    params(("id" = QuoteId, Path, description = "The quote's id.")),
    responses((status = 200, description = "The quote.", body = QuoteWithLines)),
    security(("api_key" = ["quotes:read"]))
)]
async fn get(State(app): State<App>, Tenant(tenant): Tenant, Path(id): Path<QuoteId>) -> Answer<Json<QuoteWithLines>> {
    let quote = app.stores().quotes.get(tenant, id).await?;
    let lines = app.stores().quotes.lines(tenant, id).await?;
    Ok(Json(QuoteWithLines::of(quote, lines)))
}

/// Get a quote's PDF.
#[utoipa::path(
    get, path = "/quotes/{id}/pdf", tag = "quotes", operation_id = "get_quote_pdf",
    params(("id" = QuoteId, Path, description = "The quote's id.")),
    responses((status = 200, description = "The PDF.", body = Vec<u8>, content_type = "application/pdf")),
    security(("api_key" = ["quotes:read"]))
)]
async fn pdf(State(app): State<App>, Tenant(tenant): Tenant, Path(id): Path<QuoteId>) -> Answer<Response> {
    let quote = app.stores().quotes.get(tenant, id).await?;
    let Some(key) = quote.pdf_key.clone() else {
        let detail = format!("The quote is {}: it has no PDF yet.", quote.state);
        return Err(Problem::new(ProblemType::StateConflict, detail));
    };
    pdf_of(&app, &key, quote.shown_number().as_deref()).await
}

async fn pdf_of(app: &App, key: &str, number: Option<&str>) -> Answer<Response> {
    let content = app.objects().get(key).await?;
    let name = file_name(number.unwrap_or_default());
    let mut response = content.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/pdf"));
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"quote-{name}.pdf\""));
    headers.insert(header::CONTENT_DISPOSITION, disposition.map_err(Problem::internal)?);
    Ok(response)
}

/// Approve a quote that needs review.
///
/// With `items`, these are its lines from now on; without, it keeps the ones it has, which must be complete. It is then
/// priced, rendered and sent like any other.
#[utoipa::path(
    post, path = "/quotes/{id}/approve", tag = "quotes", operation_id = "approve_quote",
    params(("id" = QuoteId, Path, description = "The quote's id.")),
    request_body = Option<Approval>,
    responses((status = 202, description = "The quote, on its way to being priced.", body = QuoteWithLines)),
    security(("api_key" = ["quotes:write"]))
)]
async fn approve(
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
    let approved = app.stores().quotes.approve(tenant, id, lines, &by(caller), &price(tenant, id)?).await?;
    under_way(&app, tenant, approved.quote, Some(approved.outbox)).await
}

/// The job that prices a quote.
fn price(tenant: TenantId, id: QuoteId) -> Answer<NewJob> {
    NewJob::of(tenant.into(), &PriceQuote { quote_id: id }).map_err(Problem::internal)
}

/// A quote whose next step was written down to be enqueued, if one was.
async fn under_way(
    app: &App,
    tenant: TenantId,
    quote: quotes::Quote,
    outbox: Option<OutboxId>,
) -> Answer<(StatusCode, Json<QuoteWithLines>)> {
    if let Some(entry) = outbox {
        app.relay(tenant, &[entry]).await;
    }
    Ok((StatusCode::ACCEPTED, Json(whole(app, tenant, quote).await?)))
}

/// For a request whose work was done before, and only its answer lost: the scheduler relays what is to be enqueued.
async fn as_it_is(app: &App, tenant: TenantId, id: QuoteId) -> Answer<(StatusCode, Json<QuoteWithLines>)> {
    under_way(app, tenant, app.stores().quotes.get(tenant, id).await?, None).await
}

async fn whole(app: &App, tenant: TenantId, quote: quotes::Quote) -> Answer<QuoteWithLines> {
    let lines = app.stores().quotes.lines(tenant, quote.id).await?;
    Ok(QuoteWithLines::of(quote, lines))
}

/// Who a caller is in the quote's history.
fn by(caller: Caller) -> By {
    By::agent(caller.actor.to_string())
}

/// A quote number as part of a file name.
fn file_name(number: &str) -> String {
    number.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}
