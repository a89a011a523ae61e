//! What an issuer shows to everybody.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::issuers::{Body, Issuer, Trouble};
use crate::office::Office;

pub(super) async fn discovery(
    State(office): State<Arc<Office>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let url = url(&headers, &name);
    let (trouble, document) = office.oidc.with(&name, |issuer| {
        issuer.seen.discovery += 1;
        (issuer.trouble(false), document(issuer, &url))
    });
    answer(trouble, document, None, &json!({ "issuer": "https://elsewhere.example", "jwks_uri": url })).await
}

pub(super) async fn keys(State(office): State<Arc<Office>>, Path(name): Path<String>) -> Response {
    let (trouble, set, max_age) = office.oidc.with(&name, |issuer| {
        issuer.seen.keys += 1;
        let keys: Vec<Value> = issuer.signers.iter().map(super::Signer::jwk).collect();
        (issuer.trouble(true), json!({ "keys": keys }), issuer.orders.max_age)
    });
    answer(trouble, set, max_age, &json!({ "keys": [] })).await
}

fn document(issuer: &Issuer, url: &str) -> Value {
    json!({
        "issuer": issuer.orders.issuer.as_deref().unwrap_or(url),
        "jwks_uri": issuer.orders.jwks_uri.clone().unwrap_or_else(|| format!("{url}/keys")),
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
    })
}

/// What an issuer is called that has no other name.
pub(super) fn url(headers: &HeaderMap, name: &str) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    format!("http://{host}/oidc/{name}")
}

async fn answer(trouble: Trouble, right: Value, max_age: Option<u64>, foreign: &Value) -> Response {
    tokio::time::sleep(Duration::from_millis(trouble.delay_ms)).await;
    let status = StatusCode::from_u16(trouble.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = match trouble.body {
        Body::Right => Json(right).into_response(),
        Body::Huge => Json(json!({ "keys": [], "filler": "x".repeat(1024 * 1024) })).into_response(),
        Body::Wrong => "<!doctype html><title>Maintenance</title>".into_response(),
        Body::Foreign => Json(foreign).into_response(),
    };
    *response.status_mut() = status;
    if let Some(value) = max_age.and_then(|seconds| format!("public, max-age={seconds}").parse().ok()) {
        response.headers_mut().insert(header::CACHE_CONTROL, value);
    }
    response
}
