//! The OpenAI-compatible endpoint: `/v1/models` and `/v1/chat/completions`.
//!
//! It answers quote requests by plain rules (`rules`), in the shape and with the errors of the real service.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde_json::json;

use crate::clock;
use crate::faults::{Stage, Target};
use crate::office::Office;

mod completion;
mod log;
mod pictures;
mod request;
pub mod rules;
mod trouble;

pub use log::{LlmLog, Served};
pub use request::{
    Answer, Attachment, Dimension, Dropped, Earlier, Intent, Item, Mail, Material, Measure, OfferedLine, OfferedQuote,
    Product, QuoteRequest,
};

const MAX_REQUEST_BYTES: usize = 64 * 1024 * 1024;

pub fn router(office: Arc<Office>) -> Router {
    Router::new()
        .route("/v1/models", get(models))
        .route("/v1/chat/completions", post(complete))
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .with_state(office)
}

async fn models() -> Json<serde_json::Value> {
    let models = ["gpt-4.1-mini", "sandbox-rules"]
        .map(|id| json!({"id": id, "object": "model", "created": 0, "owned_by": "sandbox"}));
    Json(json!({"object": "list", "data": models}))
}

async fn complete(State(office): State<Arc<Office>>, headers: HeaderMap, body: Bytes) -> Response {
    let received_at = clock::now();
    if headers.get(AUTHORIZATION).is_none_or(|value| value.as_bytes().len() <= "Bearer ".len()) {
        return trouble::error(401, "invalid_request_error", "invalid_api_key", "You didn't provide an API key.");
    }
    let call = match request::Call::parse(&body) {
        Ok(call) => call,
        Err(reason) => return trouble::error(400, "invalid_request_error", "invalid_value", &reason),
    };
    let texts = [call.request.mail.subject.as_str(), call.request.mail.from.as_str(), call.request.mail.text.as_str()];
    let strike = office.faults.strike(Target::Llm, Stage::Request, &texts);
    if !strike.delay.is_zero() {
        tokio::time::sleep(strike.delay).await;
    }
    // A long mail takes a while; the sockets beside it must not wait.
    let read = tokio::task::spawn_blocking(move || (rules::answer(&call.request), call)).await;
    let Ok((answer, call)) = read else {
        return trouble::error(500, "server_error", "server_error", "The rules failed on this mail.");
    };
    let outcome = strike.fault.as_ref().map_or_else(|| "answered".to_owned(), |fault| trouble::name(fault.kind));
    office.llm.record(Served::new(received_at, &call, outcome, strike.fault.is_none().then(|| answer.clone())));
    match strike.fault {
        Some(fault) => {
            let told = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
            trouble::respond(&fault, &call, &answer, told).await
        }
        None => Json(completion::answered(&call, &answer)).into_response(),
    }
}
