//! Whose token is it: Gmail's profile, and the userinfo that a Dovecot asks.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Bearer;
use crate::office::Office;

pub(super) async fn profile(State(office): State<Arc<Office>>, headers: HeaderMap) -> Response {
    office.google.counted(|calls| calls.profile += 1);
    match owner(&office, &headers) {
        Bearer::Good { address } => {
            let messages = office.mailboxes.read(&address, |mailbox| mailbox.folders["INBOX"].messages.len());
            let total = messages.unwrap_or_default();
            let body = json!({
                "emailAddress": address, "messagesTotal": total, "threadsTotal": total, "historyId": "1",
            });
            Json(body).into_response()
        }
        Bearer::Expired | Bearer::Unknown => unauthenticated(),
    }
}

/// Dovecot heeds no status: an answer without an address is a failure of its own to it, for which clients are to wait, and only
/// another's address makes it refuse a token.
pub(super) async fn userinfo(State(office): State<Arc<Office>>, headers: HeaderMap) -> Response {
    match owner(&office, &headers) {
        Bearer::Good { address } => Json(json!({"email": address, "email_verified": true})).into_response(),
        Bearer::Expired | Bearer::Unknown => {
            (StatusCode::UNAUTHORIZED, Json(json!({"email": "nobody"}))).into_response()
        }
    }
}

fn owner(office: &Office, headers: &HeaderMap) -> Bearer {
    let header = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    office.google.bearer(header.strip_prefix("Bearer ").unwrap_or_default().trim())
}

/// The answer of Google's APIs to a token that is not good.
pub(crate) fn unauthenticated() -> Response {
    let text = "Request had invalid authentication credentials. Expected OAuth 2 access token.";
    let error = json!({
        "code": 401, "message": text, "status": "UNAUTHENTICATED",
        "errors": [{"message": "Invalid Credentials", "domain": "global", "reason": "authError"}],
    });
    (StatusCode::UNAUTHORIZED, Json(json!({ "error": error }))).into_response()
}
