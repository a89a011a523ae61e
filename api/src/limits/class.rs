use axum::extract::Query;
use axum::http::{Method, Uri};
use postrider_shared::config::RouteClass;
use serde::Deserialize;

use crate::v1::jobs::Wait;

/// What operations are counted together with this one. `path` is the route's pattern.
pub fn class_of(method: &Method, path: &str) -> RouteClass {
    let reads = method == Method::GET || method == Method::HEAD;
    match path {
        "/v1/jobs" | "/v1/jobs/batch" | "/v1/jobs/{id}/retry" if !reads => RouteClass::Enqueues,
        _ if !reads && path.starts_with("/v1/dead-letters") => RouteClass::Enqueues,
        _ if path.ends_with("/export") => RouteClass::Exports,
        _ if reads => RouteClass::Reads,
        _ => RouteClass::Writes,
    }
}

/// Attempts to become somebody.
pub(super) fn is_sign_in(method: &Method, path: &str) -> bool {
    method == Method::POST && path.starts_with("/v1/auth/")
}

/// What an operator's watch asks: never refused.
pub(super) fn is_probe(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/metrics")
}

#[derive(Deserialize)]
struct Waiting {
    wait: Option<Wait>,
}

/// Requests that do nothing but wait, for a job to end or to change. Read as the operation reads it: one that waits and is not known
/// here would hold a place among those that work, and one that only says so would need none.
pub(super) fn waits(path: &str, uri: &Uri) -> bool {
    match path {
        "/v1/jobs/{id}" if uri.query().is_some() => Query::<Waiting>::try_from_uri(uri)
            .is_ok_and(|Query(asked)| asked.wait.is_some_and(|Wait(wait)| !wait.is_zero())),
        "/v1/jobs/{id}/events" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_brings_jobs_is_counted_apart_from_what_looks_at_them() {
        for (method, path, class) in [
            (Method::POST, "/v1/jobs", RouteClass::Enqueues),
            (Method::GET, "/v1/jobs", RouteClass::Reads),
            (Method::HEAD, "/v1/jobs/{id}", RouteClass::Reads),
            (Method::POST, "/v1/jobs/{id}/cancel", RouteClass::Writes),
            (Method::POST, "/v1/dead-letters/{id}/redrive", RouteClass::Enqueues),
            (Method::GET, "/v1/dead-letters", RouteClass::Reads),
            (Method::GET, "/v1/audit/export", RouteClass::Exports),
            (Method::PATCH, "/v1/accounts/{id}", RouteClass::Writes),
        ] {
            assert_eq!(class_of(&method, path), class, "{method} {path}");
        }
    }

    #[test]
    fn who_waits_is_told_from_who_says_so() {
        for (path, query, expected) in [
            ("/v1/jobs/{id}", "", false),
            ("/v1/jobs/{id}", "?wait=30s", true),
            ("/v1/jobs/{id}", "?tenant=1&wait=500ms", true),
            ("/v1/jobs/{id}", "?w%61it=%330s", true),
            ("/v1/jobs/{id}", "?wait=0s", false),
            ("/v1/jobs/{id}", "?wait=0ms", false),
            ("/v1/jobs/{id}", "?wait=%30s", false),
            ("/v1/jobs/{id}", "?await=30s", false),
            ("/v1/jobs/{id}", "?wait=for+ever", false),
            ("/v1/jobs/{id}/events", "", true),
            ("/v1/jobs", "?wait=30s", false),
        ] {
            let uri = format!("http://localhost/{query}").parse().unwrap();
            assert_eq!(waits(path, &uri), expected, "{path}{query}");
        }
    }
}
