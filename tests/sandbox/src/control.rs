//! `/control`: tests and `deploy/up` make mailboxes, hand mail in, order faults and read what was accepted.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde_json::json;

use crate::llm::Served;
use crate::office::Office;

pub mod accepted;
mod faults;
pub mod mailboxes;

const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

type Shared = State<Arc<Office>>;

pub fn router(office: Arc<Office>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/control/mailboxes", get(mailboxes::list).post(mailboxes::create))
        .route("/control/mailboxes/{address}/messages", get(mailboxes::messages).post(mailboxes::deliver))
        .route("/control/mailboxes/{address}/messages/{uid}/raw", get(mailboxes::raw))
        .route("/control/accepted", get(accepted::list))
        .route("/control/accepted/{seq}/raw", get(accepted::raw))
        .route("/control/llm", get(llm))
        .route("/control/faults", get(faults::list).post(faults::add).delete(faults::clear))
        .route("/control/faults/{id}", delete(faults::remove))
        .route("/control/reset", post(reset))
        .layer(DefaultBodyLimit::max(MAX_MESSAGE_BYTES))
        .with_state(office)
}

async fn llm(State(office): Shared) -> Json<Vec<Served>> {
    Json(office.llm.all())
}

async fn reset(State(office): Shared) -> StatusCode {
    office.reset();
    StatusCode::NO_CONTENT
}

/// A problem in the shape the product uses, too (RFC 9457).
pub(crate) fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("error");
    let body = json!({"type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail});
    (status, [("content-type", "application/problem+json")], body.to_string()).into_response()
}
