//! The endpoint's ordered faults.

use std::io;

use axum::Json;
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::completion::completion;
use super::request::{Answer, Call, Item};
use crate::faults::{Fault, FaultKind};

/// An error in the service's shape.
pub(super) fn error(status: u16, kind: &str, code: &str, message: &str) -> Response {
    let body = json!({"error": {"message": message, "type": kind, "param": null, "code": code}});
    (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), Json(body)).into_response()
}

/// The kind's wire name.
pub(super) fn name(kind: FaultKind) -> String {
    serde_json::to_value(kind).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

/// `told` is what the caller showed, which rude servers repeat: our product is to keep it to itself.
pub(super) async fn respond(fault: &Fault, call: &Call, answer: &Answer, told: &str) -> Response {
    let whole = serde_json::to_string(answer).unwrap_or_default();
    let say = |content: &str, reason: &str| {
        let message = json!({"role": "assistant", "content": content, "refusal": null});
        Json(completion(call, &message, reason)).into_response()
    };
    match fault.kind {
        FaultKind::Refusal => {
            let message =
                json!({"role": "assistant", "content": null, "refusal": "I'm sorry, I can't assist with that."});
            Json(completion(call, &message, "stop")).into_response()
        }
        FaultKind::Cut => say(&half(&whole), "length"),
        FaultKind::MalformedJson => say(&format!("Sure! Here you are:\n{}", half(&whole)), "stop"),
        FaultKind::NotInSchema => say(&json!({"intent": "buy", "items": {"first": whole.len()}}).to_string(), "stop"),
        FaultKind::Invented => say(&serde_json::to_string(&invented(answer)).unwrap_or_default(), "stop"),
        FaultKind::RateLimit => with_retry_after(
            error(429, "requests", "rate_limit_exceeded", "Rate limit reached for requests per min (RPM)."),
            Some(fault.retry_after.unwrap_or(1)),
        ),
        FaultKind::InsufficientQuota => error(
            429,
            "insufficient_quota",
            "insufficient_quota",
            "You exceeded your current quota, please check your plan and billing details.",
        ),
        FaultKind::NumericCode => {
            let body = json!({"error": {"message": "Too many requests", "code": 429}});
            let response = (StatusCode::TOO_MANY_REQUESTS, Json(body)).into_response();
            with_retry_after(response, fault.retry_after)
        }
        FaultKind::NotJson => {
            let page = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>";
            (StatusCode::BAD_GATEWAY, [(CONTENT_TYPE, "text/html")], page).into_response()
        }
        FaultKind::Hang => std::future::pending().await,
        FaultKind::Close => {
            Body::from_stream(futures::stream::iter([Err::<Vec<u8>, _>(io::Error::other("closed by order"))]))
                .into_response()
        }
        // Whatever else was ordered is an error of the server; the reply may name another status.
        _ => {
            let status = fault.reply.as_deref().and_then(|status| status.trim().parse().ok()).unwrap_or(500);
            let said = format!("The server had an error while processing your request ({told}).");
            let response = error(status, "server_error", "server_error", &said);
            with_retry_after(response, fault.retry_after)
        }
    }
}

fn with_retry_after(mut response: Response, seconds: Option<u64>) -> Response {
    if let Some(seconds) = seconds {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The first half, cut between characters.
fn half(text: &str) -> String {
    text.chars().take(text.chars().count() / 2).collect()
}

/// The answer with an item that nobody asked for.
fn invented(answer: &Answer) -> Value {
    let mut answer = answer.clone();
    answer.items.push(Item {
        excerpt: "and one golden statue of the founder, two metres tall".into(),
        sku: Some("GOLDEN-STATUE".into()),
        quantity: Some("1".into()),
        ..Item::default()
    });
    serde_json::to_value(answer).unwrap_or_default()
}
