//! Errors in Google's shape, and ordered faults.

use std::io;

use axum::Json;
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::call::Refusal;
use crate::faults::{Fault, FaultKind, Stage, Target};
use crate::office::Office;

/// An error as Google words it: `error.code`, `error.errors[].reason`, `error.status`.
pub(super) fn error(status: u16, reason: &str, message: &str) -> Response {
    let canonical = match status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        _ => "INTERNAL",
    };
    let domain = if reason.ends_with("LimitExceeded") { "usageLimits" } else { "global" };
    let body = json!({"error": {
        "code": status, "message": message, "status": canonical,
        "errors": [{"message": message, "domain": domain, "reason": reason}],
    }});
    (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), Json(body)).into_response()
}

pub(super) fn not_found() -> Response {
    error(404, "notFound", "Requested entity was not found.")
}

/// Repeats what it was told, as rude servers do: our product is to keep that to itself.
pub(super) fn unauthenticated(told: &str) -> Response {
    let message = format!(
        "Request had invalid authentication credentials ({told}). Expected OAuth 2 access token, login cookie or other \
         valid authentication credential."
    );
    error(401, "authError", &message)
}

pub(super) fn too_fast() -> Response {
    error(
        429,
        "rateLimitExceeded",
        "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user'.",
    )
}

/// Lets an ordered fault happen. `Err` is what the client gets instead of an answer.
pub(super) async fn suffer(office: &Office, stage: Stage, texts: &[&str]) -> Result<Option<FaultKind>, Refusal> {
    let strike = office.faults.strike(Target::Gmail, stage, texts);
    if !strike.delay.is_zero() {
        tokio::time::sleep(strike.delay).await;
    }
    let Some(fault) = strike.fault else { return Ok(None) };
    if fault.kind == FaultKind::MissingFields {
        return Ok(Some(fault.kind));
    }
    Err(Refusal::new(response(&fault).await))
}

async fn response(fault: &Fault) -> Response {
    match fault.kind {
        FaultKind::Hang => std::future::pending().await,
        FaultKind::Close | FaultKind::ResetAfterAccept => {
            let broken = futures::stream::iter([Err::<Vec<u8>, _>(io::Error::other("closed by order"))]);
            Body::from_stream(broken).into_response()
        }
        FaultKind::NotJson => {
            let page = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>";
            let status = fault.reply.as_deref().and_then(|status| status.parse().ok());
            (status.unwrap_or(StatusCode::BAD_GATEWAY), [(CONTENT_TYPE, "text/html")], page).into_response()
        }
        FaultKind::LoginNo => unauthenticated("by order"),
        FaultKind::DailyLimit => error(403, "dailyLimitExceeded", "Daily Limit Exceeded"),
        FaultKind::RateLimit => with_retry_after(too_fast(), fault.retry_after),
        // The reply says `STATUS REASON MESSAGE`; whatever else was ordered is an error of the server.
        _ => {
            let mut words = fault.reply.as_deref().unwrap_or("500 backendError Backend Error").splitn(3, ' ');
            let status = words.next().and_then(|status| status.parse().ok()).unwrap_or(500);
            let reason = words.next().unwrap_or("backendError");
            with_retry_after(error(status, reason, words.next().unwrap_or(reason)), fault.retry_after)
        }
    }
}

fn with_retry_after(mut response: Response, seconds: Option<u64>) -> Response {
    if let Some(seconds) = seconds {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
