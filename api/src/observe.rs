//! One log line and one measurement per request. Neither holds a path with ids, a query or a body.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use metrics::{Counter, Histogram};

use crate::layers::Inner;

/// The measures that were taken before. There are as many as there are operations with different answers, so none is forgotten.
#[derive(Clone, Default)]
pub struct Measures(Arc<RwLock<HashMap<String, Vec<Measure>>>>);

/// Of one operation's answers with one status.
#[derive(Clone)]
struct Measure {
    method: &'static str,
    status: StatusCode,
    requests: Counter,
    duration: Histogram,
}

impl Measures {
    /// Counts and times one request. The names of a measure are put together once: that costs more than to count.
    fn take(&self, method: &'static str, path: &str, status: StatusCode, seconds: f64) {
        let is_it = |measure: &&Measure| measure.method == method && measure.status == status;
        let count = |measure: &Measure| {
            measure.requests.increment(1);
            measure.duration.record(seconds);
        };
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(measure) = known.get(path).and_then(|measures| measures.iter().find(is_it)) {
            return count(measure);
        }
        drop(known);
        let code = status.as_str().to_owned();
        let measure = Measure {
            method,
            status,
            requests: metrics::counter!("http_requests_total", "method" => method, "path" => path.to_owned(), "status" => code),
            duration: metrics::histogram!("http_request_duration_seconds", "method" => method, "path" => path.to_owned()),
        };
        count(&measure);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(path.to_owned()).or_default().push(measure);
    }
}

/// Layer that counts, times and logs each request.
pub async fn layer(measures: Measures, request: Box<Request>, next: impl Inner) -> Response {
    let started = Instant::now();
    let method = known(request.method());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let path = matched.as_ref().map_or("unmatched", MatchedPath::as_str);
    let took = started.elapsed();
    measures.take(method, path, response.status(), took.as_secs_f64());
    tracing::info!(path, status = response.status().as_u16(), duration_ms = milliseconds(took), "request served");
    response
}

/// To a thousandth.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// The method as a label of bounded cardinality: HTTP allows any token as a method.
fn known(method: &Method) -> &'static str {
    ["GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS"]
        .into_iter()
        .find(|known| *known == method.as_str())
        .unwrap_or("OTHER")
}
