use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};

use super::address::{self, ClientAddress, Peer};
use super::{Counted, Limits, class, fields};
use crate::app::App;
use crate::auth::Caller;
use crate::layers::Inner;
use crate::problem::{Problem, ProblemType};

/// Layer around everything: what the process takes on, and how often an address may call.
pub async fn outer(app: App, mut request: Box<Request>, next: impl Inner) -> Response {
    let limits = app.limits();
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str).unwrap_or_default();
    if class::is_probe(path) {
        return next.run(request).await;
    }
    if let Err(problem) = limits.take_on() {
        return refused(problem, "process");
    }
    // Who only waits has no part in the work; its connection counts.
    let flight = match limits.flights.try_acquire() {
        Ok(_) if class::waits(path, request.uri()) => None,
        Ok(flight) => Some(flight),
        Err(_) => return refused(Problem::new(ProblemType::Overloaded, ""), "flights"),
    };
    let signs_in = class::is_sign_in(request.method(), path);
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    let client = peer.map(|peer| address::client(peer, request.headers(), &limits.config().proxies));
    request.extensions_mut().insert(ClientAddress(client));
    if let Some(client) = client {
        if let Some(counted) = limits.count_address(client).await
            && let Some(problem) = counted.refused()
        {
            return told(refused(problem, "address"), &counted);
        }
        if signs_in && let Err(problem) = limits.count_sign_in(client).await {
            return refused(problem, "sign-in");
        }
    }
    let response = next.run(request).await;
    drop(flight);
    response
}

/// Layer behind the one that identifies: how often a caller, and its tenant, may call.
pub async fn inner(app: App, caller: Caller, request: Box<Request>, next: impl Inner) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str).unwrap_or_default();
    let class = class::class_of(request.method(), path);
    let tenant = caller.tenant.filter(|_| !caller.is_platform() && !class::waits(path, request.uri()));
    let share = match tenant.map(|tenant| app.limits().shares.take(tenant)) {
        None => None,
        Some(Some(share)) => Some(share),
        Some(None) => {
            let problem = Problem::new(ProblemType::TooManyRequests, "The tenant has too many requests under way.");
            return refused(problem.retry_after(Duration::from_secs(1)), "tenant_flights");
        }
    };
    let Some(counted) = app.limits().count_caller(&caller, class).await else { return next.run(request).await };
    let response = match counted.refused() {
        Some(problem) => refused(problem, class.name()),
        None => next.run(request).await,
    };
    drop(share);
    told(response, &counted)
}

fn refused(problem: Problem, limit: &'static str) -> Response {
    metrics::counter!("http_refused_total", "limit" => limit).increment(1);
    problem.into_response()
}

fn told(mut response: Response, counted: &Counted) -> Response {
    fields::add(response.headers_mut(), counted);
    response
}

impl Limits {
    /// How many requests are under way now, beside those that wait.
    pub fn in_flight(&self) -> usize {
        self.config().requests_in_flight.saturating_sub(self.flights.available_permits())
    }
}
