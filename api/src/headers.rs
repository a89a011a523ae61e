//! Response headers that cost nothing and close whole classes of browser attacks.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Version, header};
use axum::response::{IntoResponse as _, Response};
use postrider_shared::config::TrafficConfig;

use crate::layers::Inner;
use crate::problem::{Problem, ProblemType};

/// Answers are data: a browser that is made to open one must not run, frame or guess anything.
const DATA: &str = "default-src 'none'; frame-ancestors 'none'";
/// The documentation pages load their own scripts and styles, and call this API.
const DOCS: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/// No page of ours uses a sensor, a camera or a payment.
const PERMISSIONS: &str =
    "accelerometer=(), camera=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), payment=(), usb=()";

/// What the settings say of them.
#[derive(Debug, Clone)]
pub struct Fixed {
    transport_security: Option<Arc<HeaderValue>>,
}

impl Fixed {
    /// What the settings say.
    pub fn of(traffic: &TrafficConfig) -> Self {
        let text = traffic.transport_security.map(|time| format!("max-age={}; includeSubDomains", time.as_secs()));
        Self { transport_security: text.and_then(|text| HeaderValue::from_str(&text).ok()).map(Arc::new) }
    }
}

/// HTTP/1.1 asks for it (RFC 9112, 3.2): whoever stands before this API and took the other one has seen another request.
fn has_one_host(request: &Request) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let first = hosts.next();
    (first.is_some() || request.version() == Version::HTTP_10) && hosts.next().is_none()
}

/// Layer that adds them to each answer, and refuses a request that has not exactly one Host.
pub async fn layer(fixed: Fixed, request: Box<Request>, next: impl Inner) -> Response {
    let is_docs = request.uri().path().starts_with("/docs");
    let is_private = request.uri().path().starts_with("/v1");
    let mut response = if has_one_host(&request) {
        next.run(request).await
    } else {
        Problem::new(ProblemType::MalformedRequest, "A request has exactly one Host.").into_response()
    };
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::REFERRER_POLICY, "no-referrer");
    set(header::CONTENT_SECURITY_POLICY, if is_docs { DOCS } else { DATA });
    set(HeaderName::from_static("permissions-policy"), PERMISSIONS);
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    if is_private {
        set(header::CACHE_CONTROL, "no-store");
    }
    if let Some(value) = &fixed.transport_security {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::clone(value));
    }
    response
}
