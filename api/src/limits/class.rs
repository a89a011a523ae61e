use axum::http::Method;
use postrider_shared::config::RouteClass;

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

/// Requests that do nothing but wait, for a job to end or to change.
pub(super) fn waits(path: &str, query: Option<&str>) -> bool {
    match path {
        "/v1/jobs/{id}" => query.is_some_and(|query| query.contains("wait=")),
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
}
