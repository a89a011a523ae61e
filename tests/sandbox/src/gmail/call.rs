//! Who calls, and what it costs.

use std::time::Instant;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use bytes::Bytes;
use serde_json::Value;

use super::quota::Units;
use super::trouble;
use crate::google::Bearer;
use crate::office::Office;

/// The answer to a call that goes no further. In a box, because responses are large.
#[derive(Debug)]
pub(super) struct Refusal(Box<Response>);

impl Refusal {
    pub(super) fn new(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        *self.0
    }
}

/// The mailbox that a bearer token stands for, once the call is charged.
pub(super) fn admit(office: &Office, headers: &HeaderMap, user: &str, units: Units) -> Result<String, Refusal> {
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let Bearer::Good { address } = office.google.bearer(token) else {
        return Err(Refusal::new(trouble::unauthenticated(token)));
    };
    if user != "me" && !user.eq_ignore_ascii_case(&address) {
        return Err(Refusal::new(trouble::error(403, "forbidden", &format!("Delegation denied for {address}"))));
    }
    if !office.gmail.lock().quota.charge(&address, units, Instant::now()) {
        return Err(Refusal::new(trouble::too_fast()));
    }
    Ok(address)
}

/// A body that should be JSON.
pub(super) fn json(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|_| Refusal::new(trouble::error(400, "parseError", "Parse Error")))
}

/// `raw` and `threadId` of a message resource.
pub(super) fn message(resource: &Value) -> Result<(Bytes, Option<String>), Refusal> {
    let raw = resource["raw"].as_str().unwrap_or_default().trim_end_matches('=');
    let decoded = URL_SAFE_NO_PAD.decode(raw).or_else(|_| URL_SAFE.decode(raw));
    match decoded {
        Ok(raw) if !raw.is_empty() => Ok((raw.into(), resource["threadId"].as_str().map(str::to_owned))),
        Ok(_) => {
            Err(Refusal::new(trouble::error(400, "invalidArgument", "'raw' RFC822 payload message string required")))
        }
        Err(_) => Err(Refusal::new(trouble::error(400, "invalidArgument", "Invalid value for ByteString: raw"))),
    }
}
