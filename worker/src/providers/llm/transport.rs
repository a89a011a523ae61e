//! The HTTP step below the OpenAI client: no retries, a bounded body, and `Retry-After` read before it is lost.
//!
//! `async-openai` drops response headers from its errors, has no status for an error body of another shape
//! (gateways), and logs whole bodies it cannot parse. So bodies are read and judged here.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use async_openai::types::chat::CreateChatCompletionResponse;
use chrono::{DateTime, Utc};
use postrider_shared::clock::Clock;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;

use crate::providers::network::{self, BodyError};
use crate::providers::told::Told;

/// An answer of the largest sensible size is some 100 kB.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// Why there is no usable response.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpFailure {
    #[error("status {status}: {message}")]
    Status { status: u16, kind: String, code: String, message: String, retry_after: Option<Duration> },
    #[error("{detail}")]
    Network { timeout: bool, detail: String },
    #[error("the body is longer than {MAX_BODY} bytes")]
    TooLong,
    #[error("the body is not a chat completion: {detail}")]
    NotACompletion { detail: String },
    #[error("the request cannot be built: {detail}")]
    Unbuildable { detail: String },
}

impl From<BodyError> for HttpFailure {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLong { .. } => Self::TooLong,
            BodyError::Lost(error) => network(&error),
        }
    }
}

impl From<HttpFailure> for OpenAIError {
    fn from(failure: HttpFailure) -> Self {
        Self::Boxed(Box::new(failure))
    }
}

/// The service that `async-openai` runs its requests on.
#[derive(Clone)]
pub(super) struct Transport {
    http: reqwest::Client,
    clock: Clock,
}

impl Transport {
    pub(super) fn new(http: reqwest::Client, clock: Clock) -> Self {
        Self { http, clock }
    }
}

impl tower::Service<HttpRequestFactory> for Transport {
    type Response = reqwest::Response;
    type Error = HttpFailure;
    type Future = Pin<Box<dyn Future<Output = Result<reqwest::Response, HttpFailure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), HttpFailure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, factory: HttpRequestFactory) -> Self::Future {
        let http = self.http.clone();
        let clock = self.clock.clone();
        Box::pin(async move {
            let request = factory.build().await;
            let request = request.map_err(|error| HttpFailure::Unbuildable { detail: error.to_string() })?;
            let told = Told::headers(request.headers());
            let response = http.execute(request).await.map_err(|error| network(&error))?;
            let status = response.status();
            let headers = response.headers().clone();
            let body = network::body(response, MAX_BODY).await?;
            let retry_after = || retry_after(&headers, clock.now());
            if !status.is_success() {
                return Err(refused(status.as_u16(), retry_after(), &body, &told));
            }
            if let Err(error) = serde_json::from_slice::<CreateChatCompletionResponse>(&body) {
                return Err(match own_status(&body) {
                    Some(status) => refused(status, retry_after(), &body, &told),
                    None => HttpFailure::NotACompletion { detail: error.to_string() },
                });
            }
            let mut rebuilt = http::Response::new(body);
            *rebuilt.status_mut() = status;
            Ok(rebuilt.into())
        })
    }
}

/// The URL is configuration and may hold a key: it stays out of the text.
fn network(error: &reqwest::Error) -> HttpFailure {
    HttpFailure::Network { timeout: error.is_timeout(), detail: network::innermost(error) }
}

/// Error bodies differ: OpenAI's shape, numbers as `code`, plain text from a proxy.
fn refused(status: u16, retry_after: Option<Duration>, body: &[u8], told: &Told) -> HttpFailure {
    let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = if parsed["error"].is_object() { &parsed["error"] } else { &parsed };
    let text = |key: &str| match &error[key] {
        Value::String(text) => super::error::short(&told.hide(text)),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    let message = match text("message") {
        message if message.is_empty() => "no message".to_owned(),
        message => message,
    };
    HttpFailure::Status { status, kind: text("type"), code: text("code"), message, retry_after }
}

/// The status that a success stands for which holds nothing of a model's: a gateway says so of an error behind it. `None` where a model
/// answered.
fn own_status(body: &[u8]) -> Option<u16> {
    let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
    if parsed["choices"].is_array() {
        return None;
    }
    let error = &parsed["error"];
    let code = error["code"].as_u64().or_else(|| error["code"].as_str()?.parse().ok());
    let code = code.and_then(|code| u16::try_from(code).ok()).filter(|code| (400..=599).contains(code));
    let named = |name: &str| error["code"] == name || error["type"] == name;
    let is_limit = ["insufficient_quota", "rate_limit_exceeded"].into_iter().any(named);
    Some(code.unwrap_or(if is_limit { 429 } else { 502 }))
}

/// Seconds or an HTTP date (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let at = DateTime::parse_from_rfc2822(text).ok()?;
    (at.to_utc() - now).to_std().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::{DateTime, Utc};
    use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};

    use super::{HttpFailure, Told, own_status, refused, retry_after};

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now: DateTime<Utc> = "2026-11-21T10:00:00Z".parse().unwrap();
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
            retry_after(&headers, now)
        };
        assert_eq!(read("20"), Some(Duration::from_secs(20)));
        assert_eq!(read("Sat, 21 Nov 2026 10:01:30 GMT"), Some(Duration::from_secs(90)));
        assert_eq!(read("Sat, 21 Nov 2026 09:00:00 GMT"), None);
        assert_eq!(read("soon"), None);
        assert_eq!(read("-5"), None);
    }

    #[test]
    fn an_error_that_comes_as_a_success_is_told_by_its_own_code() {
        assert_eq!(own_status(br#"{"error":{"message":"busy","code":503}}"#), Some(503));
        assert_eq!(own_status(br#"{"error":{"message":"slow","code":"429"}}"#), Some(429));
        assert_eq!(own_status(br#"{"error":{"type":"insufficient_quota","code":null}}"#), Some(429));
        for nothing in
            [&br#"{"error":{"message":"oops"}}"#[..], br#"{"error":"oops"}"#, b"<html>maintenance</html>", b"{}", b""]
        {
            assert_eq!(own_status(nothing), Some(502));
        }
        assert_eq!(own_status(br#"{"choices":[{"index":"none"}]}"#), None, "a model's, whatever is wrong with it");
    }

    #[test]
    fn error_bodies_of_gateways_are_understood() {
        let HttpFailure::Status { code, message, .. } =
            refused(429, None, br#"{"error":{"message":"slow","code":429}}"#, &Told::default())
        else {
            panic!("not a status")
        };
        assert_eq!((code.as_str(), message.as_str()), ("429", "slow"));
        let HttpFailure::Status { message, .. } = refused(502, None, b"<html>Bad Gateway</html>", &Told::default())
        else {
            panic!("not a status")
        };
        assert_eq!(message, "no message");
    }
}
