//! What tests order of the accounts, and ask about them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Calls, Trouble, token};
use crate::control::problem;
use crate::office::Office;

/// How consents and tokens go from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Orders {
    /// Seconds a new access token is good for.
    pub expires_in: i64,
    /// Owners refuse.
    pub deny: bool,
    /// Who consents, instead of whom the page was opened for.
    pub consent_as: Option<String>,
    /// The scopes that are granted, instead of those that were asked for.
    pub granted_scope: Option<String>,
    /// A renewal gives a new refresh token, and the old one is worth nothing any more.
    pub rotate: bool,
    /// For the next calls of the token endpoint.
    pub troubles: Vec<Trouble>,
    /// No token is taken back; the status and OAuth's error code say so.
    pub keep: Option<(u16, String)>,
}

impl Default for Orders {
    fn default() -> Self {
        let expires_in = 3_599;
        let troubles = Vec::new();
        Self { expires_in, deny: false, consent_as: None, granted_scope: None, rotate: false, troubles, keep: None }
    }
}

/// A token for who plays a client of Google's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessToken {
    pub access_token: String,
    pub refresh_token: Option<String>,
    pub expires_in: i64,
}

/// How many tokens of a mailbox are good at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoodTokens {
    pub refresh_tokens: usize,
    pub access_tokens: usize,
}

pub(super) async fn show(State(office): State<Arc<Office>>) -> Json<Calls> {
    Json(office.google.calls())
}

pub(super) async fn order(State(office): State<Arc<Office>>, Json(orders): Json<Orders>) -> StatusCode {
    office.google.order(orders);
    StatusCode::NO_CONTENT
}

pub(super) async fn expire(State(office): State<Arc<Office>>, Path(address): Path<String>) -> Json<Value> {
    Json(json!({ "expired": office.google.expire(&address) }))
}

pub(super) async fn revoke(State(office): State<Arc<Office>>, Path(address): Path<String>) -> Json<Value> {
    Json(json!({ "revoked": office.google.revoke(&address) }))
}

pub(super) async fn tokens(State(office): State<Arc<Office>>, Path(address): Path<String>) -> Json<GoodTokens> {
    let (refresh_tokens, access_tokens) = office.google.standing(&address);
    Json(GoodTokens { refresh_tokens, access_tokens })
}

pub(super) async fn issue(State(office): State<Arc<Office>>, Path(address): Path<String>) -> Response {
    if !office.mailboxes.exists(&address) {
        return problem(StatusCode::NOT_FOUND, "no such mailbox");
    }
    Json(token::given(&office.google.issue(&address))).into_response()
}
