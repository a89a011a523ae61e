//! The token endpoint (RFC 6749 §4.1.3, §6; RFC 7636 §4.6) and the one that takes tokens back (RFC 7009).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Form, Json};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::tokens::{Issued, Request};
use crate::office::Office;

#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    grant_type: String,
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    client_secret: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    code_verifier: String,
    #[serde(default)]
    redirect_uri: String,
    #[serde(default)]
    refresh_token: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Back {
    token: String,
}

pub(super) async fn token(State(office): State<Arc<Office>>, Form(wanted): Form<Wanted>) -> Response {
    let refreshing = wanted.grant_type == "refresh_token";
    office.google.counted(|calls| if refreshing { calls.refresh += 1 } else { calls.exchange += 1 });
    if let Some(trouble) = office.google.trouble() {
        tokio::time::sleep(Duration::from_millis(trouble.delay_ms)).await;
        if trouble.status != 0 {
            let mut answer = refuse(trouble.status, &trouble.error, &format!("Ordered by a test. {}", told(&wanted)));
            if let Some(seconds) = trouble.retry_after {
                answer.headers_mut().insert("retry-after", seconds.into());
            }
            return answer;
        }
    }
    if wanted.client_id.is_empty() || wanted.client_secret.is_empty() {
        return refuse(401, "invalid_client", "The OAuth client was not found.");
    }
    let told = told(&wanted);
    let issued = match wanted.grant_type.as_str() {
        "refresh_token" => office.google.renew(&wanted.refresh_token),
        "authorization_code" => {
            let request = Request {
                client_id: wanted.client_id,
                redirect_uri: wanted.redirect_uri,
                scope: String::new(),
                challenge: URL_SAFE_NO_PAD.encode(Sha256::digest(&wanted.code_verifier)),
            };
            office.google.redeem(&wanted.code, &request)
        }
        _ => return refuse(400, "unsupported_grant_type", "Invalid grant_type."),
    };
    match issued {
        Some(issued) => Json(given(&issued)).into_response(),
        None => refuse(400, "invalid_grant", &format!("Token has been expired or revoked. {told}")),
    }
}

/// What it was told, which rude servers repeat: our product is to keep it to itself.
fn told(wanted: &Wanted) -> String {
    let Wanted { client_secret, code, code_verifier, refresh_token, .. } = wanted;
    format!("({code}{refresh_token} {client_secret} {code_verifier})")
}

pub(super) async fn revoke(State(office): State<Arc<Office>>, Form(back): Form<Back>) -> Response {
    office.google.counted(|calls| calls.revoke += 1);
    if let Some((status, error)) = office.google.keeps() {
        return refuse(status, &error, "Ordered by a test.");
    }
    if office.google.give_back(&back.token) {
        return Json(json!({})).into_response();
    }
    refuse(400, "invalid_token", "Token expired or revoked")
}

/// As Google answers: a refresh token only where there is a new one.
pub(super) fn given(issued: &Issued) -> serde_json::Value {
    let mut body = json!({
        "access_token": issued.access, "expires_in": issued.expires_in, "scope": issued.scope, "token_type": "Bearer",
    });
    if let Some(refresh) = &issued.refresh {
        body["refresh_token"] = refresh.as_str().into();
    }
    body
}

fn refuse(status: u16, error: &str, description: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(json!({"error": error, "error_description": description}))).into_response()
}
