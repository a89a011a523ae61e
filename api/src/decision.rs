//! The page behind the link in a quote's mail, where its customer accepts or declines.
//!
//! Looking at it changes nothing, because mail programs and their guards open links by themselves; only its buttons act. The
//! link is the whole authority: no cookie, no account, no script, and nothing is looked up before its signature holds.

mod page;
mod words;

use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use postrider_shared::audit::{AuditActor, Recorder, within};
use postrider_shared::database::StoreError;
use postrider_shared::language::Language;
use postrider_shared::quotes::{By, Decision, DecisionLink};

use self::page::Page;
use self::words::words;
use crate::app::App;
use crate::audit::Asked;
use crate::browser_page::{answer, document, paragraph};
use crate::json;

/// Where the pages are.
pub const PATH: &str = "/q/{token}";

/// Shows the quote and what can be said to it.
pub async fn show(State(app): State<App>, Path(token): Path<String>) -> Response {
    match look(&app, &token).await {
        Ok(Some(page)) => answer(StatusCode::OK, page.html()),
        Ok(None) => invalid(),
        Err(error) => failed(&error),
    }
}

/// Notes what the customer said, and shows it.
pub async fn decide(State(app): State<App>, Path(token): Path<String>, uri: Uri, request: Request) -> Response {
    let Ok(link) = DecisionLink::read(app.keys(), &token, app.clock().now()) else { return invalid() };
    let asked = Asked::of(&request);
    let body = json::body(request, &app).await.unwrap_or_default();
    let decision = match body.as_ref() {
        b"decision=accept" => Decision::Accept,
        b"decision=decline" => Decision::Decline,
        _ => return show(State(app), Path(token)).await,
    };
    let by = By::customer("link");
    let mut about = asked.described(AuditActor::Customer, Some(link.tenant), "decide_by_link");
    "quotes".clone_into(&mut about.resource);
    // Not the token, which is in the path.
    about.subject_id = Some(link.quote.to_string());
    let ledger = Recorder::of_what_is_said(about, app.clock().clone());
    let deciding = app.stores().quotes.decide(link.tenant, link.quote, Some(link.revision), decision, &by);
    let decided = within(ledger, deciding).await;
    match decided {
        // Whatever came first stands; the page says what it was.
        Ok(_) => (StatusCode::SEE_OTHER, [(header::LOCATION, uri.path().to_owned())]).into_response(),
        Err(StoreError::NotFound { .. }) => invalid(),
        Err(error) => failed(&error),
    }
}

async fn look(app: &App, token: &str) -> Result<Option<Page>, StoreError> {
    let Ok(link) = DecisionLink::read(app.keys(), token, app.clock().now()) else { return Ok(None) };
    let quote = match app.stores().quotes.get(link.tenant, link.quote).await {
        Err(StoreError::NotFound { .. }) => return Ok(None),
        found => found?,
    };
    let tenant = app.stores().tenants.get(link.tenant).await?;
    let today = tenant.time_zone.day_of(app.clock().now());
    Ok(Some(Page { tenant, quote, revision: link.revision, today }))
}

fn invalid() -> Response {
    let words = words(Language::English);
    note(StatusCode::NOT_FOUND, words.quote, words.invalid)
}

fn failed(error: &StoreError) -> Response {
    tracing::error!(%error, "a quote's page cannot be shown");
    let words = words(Language::English);
    note(StatusCode::SERVICE_UNAVAILABLE, words.quote, words.later)
}

/// Only says something, in English: nobody knows whose language to speak.
fn note(status: StatusCode, title: &str, text: &str) -> Response {
    answer(status, document(Language::English.tag(), title, "", &paragraph(text)))
}
