//! What tests order of an issuer, and ask about it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::endpoints::url;
use super::{Orders, Seen, Signer};
use crate::clock;
use crate::office::Office;

/// Who is to be named in a token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// These win over what an honest token says: issued now, good for an hour, by this issuer.
    pub claims: Value,
}

/// A token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Minted {
    pub id_token: String,
}

pub(super) async fn show(State(office): State<Arc<Office>>, Path(name): Path<String>) -> Json<Seen> {
    Json(office.oidc.with(&name, |issuer| issuer.seen))
}

pub(super) async fn order(
    State(office): State<Arc<Office>>,
    Path(name): Path<String>,
    Json(orders): Json<Orders>,
) -> StatusCode {
    office.oidc.with(&name, |issuer| issuer.orders = orders);
    StatusCode::NO_CONTENT
}

/// Another key from now on, and that one only.
pub(super) async fn rotate(State(office): State<Arc<Office>>, Path(name): Path<String>) -> StatusCode {
    office.oidc.with(&name, |issuer| {
        issuer.signers = vec![Signer::new(issuer.made)];
        issuer.made += 1;
    });
    StatusCode::NO_CONTENT
}

pub(super) async fn mint(
    State(office): State<Arc<Office>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(wanted): Json<Wanted>,
) -> Result<Json<Minted>, StatusCode> {
    let (signer, issuer) = office.oidc.with(&name, |issuer| {
        let called = issuer.orders.issuer.clone().unwrap_or_else(|| url(&headers, &name));
        (issuer.signers.last().cloned(), called)
    });
    let signer = signer.ok_or(StatusCode::CONFLICT)?;
    let now = clock::now().timestamp();
    let honest = json!({ "iss": issuer, "iat": now, "exp": now + 3_600 });
    Ok(Json(Minted { id_token: signer.token(&over(honest, &wanted.claims)) }))
}

fn over(mut honest: Value, wanted: &Value) -> Value {
    for (name, value) in wanted.as_object().into_iter().flatten() {
        honest[name] = value.clone();
    }
    honest
}
