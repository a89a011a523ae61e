//! A POST with an `Idempotency-Key` is done once, however often it is sent.
//!
//! Jobs have the queue's own idempotency keys, which live with the job. For everything else the first answer is kept in
//! the database and given again. The fingerprint is keyed by the caller's API key text, or for people by a key of the ring's, which are
//! nowhere at rest in the database, so that the table cannot be used to guess a mailbox password out of a request's hash. While the
//! ring is rotated, a fingerprint under any of its keys is known again.

mod once;
mod work;

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use postrider_shared::actor::Actor;
use postrider_shared::ids::TenantId;
use postrider_shared::requests::StoredAnswer;
use sha2::{Digest, Sha256};
use tracing::Instrument as _;
use uuid::Uuid;

use crate::app::App;
use crate::auth::Caller;
use crate::json;
use crate::layers::Inner;
use crate::problem::{Answer, Problem, ProblemType};

pub use once::Once;

/// The client's name for a request.
pub const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that this answer is the one of the first request.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

const MAX_LENGTH: usize = 255;

/// What to keep instead of an answer that holds a secret shown once.
#[derive(Clone)]
pub struct KeptBody(pub Bytes);

/// The key a request was sent with.
pub fn key(headers: &HeaderMap) -> Answer<Option<String>> {
    let Some(value) = headers.get(HEADER) else { return Ok(None) };
    match value.to_str() {
        Ok(key) if is_key(key) => Ok(Some(key.to_owned())),
        _ => {
            let detail = format!("Idempotency-Key must be 1 to {MAX_LENGTH} printable ASCII characters.");
            Err(Problem::new(ProblemType::InvalidHeader, detail))
        }
    }
}

/// Whether a text can be an idempotency key.
pub fn is_key(text: &str) -> bool {
    let printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(printable) && text.trim() == text
}

/// Layer that does a repeated POST once.
pub async fn layer(app: App, caller: Caller, request: Box<Request>, next: impl Inner) -> Answer<Response> {
    let Some(key) = key(request.headers())? else { return Ok(next.run(request).await) };
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let Some(path) = path.filter(|path| request.method() == Method::POST && !is_kept_by_the_queue(path)) else {
        return Ok(next.run(request).await);
    };
    Box::pin(keyed(app, caller, key, path, request, next)).await
}

/// Does what this key stands for, or gives the answer that was given.
async fn keyed(
    app: App,
    caller: Caller,
    key: String,
    path: String,
    request: Box<Request>,
    next: impl Inner,
) -> Answer<Response> {
    let (parts, body) = request.into_parts();
    let body = json::body(Request::from_parts(parts.clone(), body), &()).await?;
    let mut fingerprints = secrets(&app, caller, &parts.headers)?.into_iter().map(|of| fingerprint(&parts, &of, &body));
    let claim = Claim {
        tenant: caller.tenant,
        caller: id_of(caller),
        operation: format!("POST {path}"),
        key,
        fingerprint: fingerprints.next().ok_or_else(|| Problem::internal("a caller without a secret"))?,
        others: fingerprints.collect(),
    };
    let request = Box::new(Request::from_parts(parts, Body::from(body)));
    // A task of its own, from the first note of the key to the last: a client that hangs up stops nothing in between.
    let work = app.clone().tasks().spawn(work::once(app, claim, request, next).in_current_span());
    work.await.map_err(Problem::internal)?
}

/// What keys the fingerprints of a caller: first what new ones are made with, then what others may have been made with.
fn secrets(app: &App, caller: Caller, headers: &HeaderMap) -> Answer<Vec<Vec<u8>>> {
    match caller.actor {
        Actor::Key(_) => {
            Ok(vec![headers.get(header::AUTHORIZATION).map(|value| value.as_bytes().to_vec()).unwrap_or_default()])
        }
        // Tokens and cookies change while a request is repeated.
        Actor::User { user, .. } => {
            let (keys, user) = (app.keys(), user.to_string());
            let of_key = |kid| keys.mac(kid, "idempotency of people 1", user.as_bytes()).map_err(Problem::internal);
            keys.key_ids().map(of_key).collect()
        }
    }
}

/// Layer around what strangers may do: refuses a key that nothing would heed, instead of letting a client take its repeats for safe.
///
/// An answer is kept for its caller, and a stranger is nobody until the answer; many of theirs hold tokens besides.
pub async fn open_layer(request: Box<Request>, next: impl Inner) -> Response {
    let path = request.extensions().get::<MatchedPath>().map_or("", |path| path.as_str());
    let heeds = path == "/v1/auth/refresh" || request.method() != Method::POST;
    if !heeds && request.headers().contains_key(HEADER) {
        let detail = "This operation takes no Idempotency-Key: sent again, it is done again.";
        return Problem::new(ProblemType::InvalidHeader, detail).into_response();
    }
    next.run(request).await
}

/// What a key is claimed for.
struct Claim {
    tenant: Option<TenantId>,
    caller: Uuid,
    operation: String,
    key: String,
    fingerprint: String,
    /// The same under other keys.
    others: Vec<String>,
}

/// Two callers may use the same key.
fn id_of(caller: Caller) -> Uuid {
    match caller.actor {
        Actor::Key(key) => key.0,
        Actor::User { user, .. } => user.0,
    }
}

/// Jobs have idempotency keys in the queue.
fn is_kept_by_the_queue(path: &str) -> bool {
    matches!(path, "/v1/jobs" | "/v1/jobs/batch")
}

fn replay(answer: StoredAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = (status, answer.body).into_response();
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

fn fingerprint(parts: &axum::http::request::Parts, secret: &[u8], body: &[u8]) -> String {
    let mut hash = Sha256::new();
    let target = parts.uri.to_string();
    for part in [secret, parts.method.as_str().as_bytes(), target.as_bytes(), body] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_was_sent_and_by_whom_is_in_the_fingerprint() {
        let of = |method: &str, target: &str, secret: &str, body: &str| {
            let request = axum::http::Request::builder().method(method).uri(target).body(()).unwrap();
            fingerprint(&request.into_parts().0, secret.as_bytes(), body.as_bytes())
        };
        let prints = [
            of("POST", "/v1/quotes/1/approve", "key", "{}"),
            of("PATCH", "/v1/quotes/1/approve", "key", "{}"),
            of("POST", "/v1/quotes/2/approve", "key", "{}"),
            of("POST", "/v1/quotes/1/approve?dry_run=true", "key", "{}"),
            of("POST", "/v1/quotes/1/approve", "kez", "{}"),
            of("POST", "/v1/quotes/1/approve", "key", "{ }"),
            // Where one part ends matters.
            of("POST", "/v1/quotes/1/approve{", "key", "}"),
        ];
        let different: std::collections::HashSet<&String> = prints.iter().collect();
        assert_eq!(different.len(), prints.len(), "{prints:#?}");
    }
}
