//! The body of an error answer, and the one place that writes and logs it.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use postrider_shared::telemetry::chain;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Problem, ProblemType};
use crate::layers::Inner;
use crate::request_id::RequestId;

/// Content type of every error answer.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Body of every error answer (RFC 9457).
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument {
    /// Which problem of the catalogue this is; branch on this. Resolves to a description.
    #[serde(rename = "type")]
    #[schema(example = "/problems/not-found")]
    pub kind: String,
    /// The same sentence for every occurrence of this type.
    pub title: String,
    /// The HTTP status of the answer.
    pub status: u16,
    /// What happened this time.
    pub detail: String,
    /// What to do next.
    pub next: String,
    /// Names this request in the operator's log; also in the header `X-Request-Id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The fields that are to blame.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
    /// Where in the text (the body, or the formula) the fault is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// The job that stands in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
}

/// One field that is to blame.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FieldProblem {
    /// JSON pointer (RFC 6901) into the body.
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

/// A place in a text, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

/// A problem on its way out, in the response's extensions, which demand `Clone`.
#[derive(Clone)]
pub(super) struct Pending(Arc<Mutex<Option<Problem>>>);

impl Pending {
    pub(super) fn new(problem: Problem) -> Self {
        Self(Arc::new(Mutex::new(Some(problem))))
    }

    fn take(&self) -> Option<Problem> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Outermost layer for failures: writes problem+json for each and logs its inner cause once.
pub async fn report(request: Box<Request>, next: impl Inner) -> Response {
    let request_id = request.extensions().get::<RequestId>().cloned();
    let mut response = next.run(request).await;
    let pending = response.extensions_mut().remove::<Pending>().and_then(|pending| pending.take());
    let problem = match pending {
        Some(problem) => problem,
        None if is_foreign_failure(&response) => of_foreign(response.status()),
        None => return response,
    };
    log(&problem);
    let mut document = problem.document();
    document.request_id = request_id.map(|id| id.as_str().to_owned());
    let status = problem.kind().entry().status;
    let (mut parts, _) = response.into_parts();
    parts.status = status;
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    match serde_json::to_vec(&document) {
        Ok(body) => Response::from_parts(parts, Body::from(body)),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Whether axum or a tower layer answered with an error of its own.
fn is_foreign_failure(response: &Response) -> bool {
    let status = response.status();
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let plain = content_type.is_none_or(|value| value.as_bytes().starts_with(b"text/plain"));
    (status.is_client_error() || status.is_server_error()) && plain
}

fn of_foreign(status: StatusCode) -> Problem {
    let kind = match status {
        StatusCode::NOT_FOUND => ProblemType::NoSuchPath,
        StatusCode::METHOD_NOT_ALLOWED => ProblemType::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => ProblemType::PayloadTooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ProblemType::UnsupportedMediaType,
        StatusCode::UNPROCESSABLE_ENTITY => ProblemType::InvalidBody,
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => ProblemType::TimedOut,
        status if status.is_client_error() => ProblemType::InvalidHeader,
        _ => ProblemType::Internal,
    };
    Problem::new(kind, "")
}

fn log(problem: &Problem) {
    let entry = problem.kind().entry();
    let cause = problem.parts.cause.as_deref().map(|cause| chain(cause));
    if entry.status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(problem = entry.slug, cause, "request failed");
    } else if entry.status.is_server_error() {
        tracing::warn!(problem = entry.slug, cause, "request could not be served");
    } else if let Some(cause) = cause {
        tracing::info!(problem = entry.slug, cause, "request refused");
    }
}
