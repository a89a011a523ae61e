//! Response headers that cost nothing and close whole classes of browser attacks.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

/// Answers are data: a browser that is made to open one must not run, frame or guess anything.
const DATA: &str = "default-src 'none'; frame-ancestors 'none'";
/// The documentation pages load their own scripts and styles, and call this API.
const DOCS: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/// Layer that adds them to each answer.
pub async fn layer(request: Request, next: Next) -> Response {
    let is_docs = request.uri().path().starts_with("/docs");
    let is_private = request.uri().path().starts_with("/v1");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::REFERRER_POLICY, "no-referrer");
    set(header::CONTENT_SECURITY_POLICY, if is_docs { DOCS } else { DATA });
    if is_private {
        set(header::CACHE_CONTROL, "no-store");
    }
    response
}
