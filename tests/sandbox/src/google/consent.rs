//! The page that asks an owner for consent: it consents at once, or does what was ordered.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::tokens::Request;
use crate::office::Office;

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    client_id: String,
    redirect_uri: String,
    response_type: String,
    scope: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    login_hint: String,
    #[serde(default)]
    access_type: String,
    #[serde(default)]
    code_challenge: String,
    #[serde(default)]
    code_challenge_method: String,
}

pub(super) async fn ask(State(office): State<Arc<Office>>, Query(asked): Query<Asked>) -> Response {
    office.google.counted(|calls| calls.authorize += 1);
    let wrong = [
        (asked.response_type != "code", "response_type must be code"),
        (asked.access_type != "offline", "access_type must be offline, or there is no refresh token"),
        (asked.code_challenge.len() != 43 || asked.code_challenge_method != "S256", "PKCE with S256 is missing"),
    ];
    if let Some((_, reason)) = wrong.iter().find(|(wrong, _)| *wrong) {
        return (StatusCode::BAD_REQUEST, format!("Error 400: invalid_request. {reason}")).into_response();
    }
    let orders = office.google.orders();
    let owner = orders.consent_as.clone().unwrap_or(asked.login_hint);
    let mut answer = vec![("state", asked.state)];
    if orders.deny {
        answer.push(("error", "access_denied".to_owned()));
    } else if !office.mailboxes.exists(&owner) {
        return (StatusCode::BAD_REQUEST, "there is no such mailbox; make it first").into_response();
    } else {
        let request = Request {
            client_id: asked.client_id,
            redirect_uri: asked.redirect_uri.clone(),
            scope: orders.granted_scope.unwrap_or(asked.scope),
            challenge: asked.code_challenge,
        };
        answer.push(("code", office.google.consent(request, &owner)));
    }
    let pairs: Vec<String> = answer.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    Redirect::to(&format!("{}?{}", asked.redirect_uri, pairs.join("&"))).into_response()
}

fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
