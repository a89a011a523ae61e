//! Which pages of other sites may call this API out of a browser.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, header};
use postrider_shared::config::Origins;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::auth::TENANT_HEADER;
use crate::{idempotency, request_id};

/// How long a browser may keep what it was told.
const KEPT: Duration = Duration::from_mins(10);

/// Answers questions of browsers, and tells them what a page may read. Cookies only for origins that are named; nothing where
/// none is, so that a browser keeps other sites out.
pub fn layer(origins: &Origins) -> CorsLayer {
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            HeaderName::from_static("last-event-id"),
            TENANT_HEADER,
            idempotency::HEADER,
            request_id::HEADER,
        ])
        .expose_headers([
            header::LOCATION,
            header::RETRY_AFTER,
            HeaderName::from_static("ratelimit"),
            HeaderName::from_static("ratelimit-policy"),
            HeaderName::from_static("ratelimit-limit"),
            HeaderName::from_static("ratelimit-remaining"),
            HeaderName::from_static("ratelimit-reset"),
            idempotency::REPLAYED,
            request_id::HEADER,
        ])
        .max_age(KEPT);
    match origins {
        Origins::None => CorsLayer::new(),
        Origins::Any => layer.allow_origin(tower_http::cors::Any),
        Origins::Named(names) => {
            let names = names.iter().filter_map(|name| HeaderValue::from_str(name).ok());
            layer.allow_origin(AllowOrigin::list(names)).allow_credentials(true)
        }
    }
}
