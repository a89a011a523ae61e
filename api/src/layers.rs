//! The layers around operations: each a function of its own, put one inside the other here.
//!
//! axum would box each layer by itself, and copies all that is within a layer for every request, at every layer: fourteen of them
//! took a third of the processor time of `POST /v1/jobs`. So those that always come together are one layer to axum.
//!
//! A layer's future is as large as the largest of its branches, and it is there for as long as a request waits. So requests travel in a
//! box (a future has room to its end for all that it was given), and a branch that is large and rare is in a box of its own.

mod around;

use std::panic::AssertUnwindSafe;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;

use self::around::{Around, Within};
use crate::app::App;
use crate::audit::operations::Operations;
use crate::auth::Caller;
use crate::auth::access::Needs;
use crate::problem::Problem;
use crate::{audit, auth, cors, deadline, headers, idempotency, incoming, limits, observe, problem, request_id};

/// As many headers as an answer has, in all; a map has room for 24 or 48.
const HEADERS: usize = 24;

/// What stands within a layer.
pub trait Inner: Send + 'static {
    /// Hands the request on.
    fn run(self, request: Box<Request>) -> impl Future<Output = Response> + Send;
}

impl<F, R> Inner for F
where
    F: FnOnce(Box<Request>) -> R + Send + 'static,
    R: Future<Output = Response> + Send,
{
    fn run(self, request: Box<Request>) -> impl Future<Output = Response> + Send {
        self(request)
    }
}

/// Around everything.
pub fn around_all(router: Router, app: App) -> Router {
    let traffic = app.limits().config();
    let (fixed_headers, other_sites) = (headers::Fixed::of(traffic), cors::layer(&traffic.origins));
    let payload = app.payload_limit();
    router
        // The last layer is the outermost.
        .layer(Around::new((app, observe::Measures::default()), counted))
        .layer(other_sites)
        .layer(Around::new((fixed_headers, payload), named))
}

/// Around the operations that need a permission.
pub fn around_private(router: Router<App>, app: &App, needs: Needs, operations: Operations) -> Router<App> {
    router.route_layer(Around::new(Private { app: app.clone(), needs, operations }, permitted))
}

/// Around what strangers may do.
pub fn around_open(router: Router<App>, app: &App, operations: Operations) -> Router<App> {
    router.route_layer(Around::new((app.clone(), operations), asked))
}

/// What is noted of strangers, and that nothing of theirs is repeated.
async fn asked(noted: (App, Operations), request: Box<Request>, within: Within) -> Response {
    let inner = move |request| idempotency::open_layer(request, within);
    audit::open_layer(noted, request, inner).await
}

/// What every answer has, also one to a browser that asks what it may do.
async fn named((fixed, payload): (headers::Fixed, usize), request: Box<Request>, within: Within) -> Response {
    let inner = move |request| headers::layer(fixed, request, within);
    let inner = move |request| problem::report(request, inner);
    let inner = move |request| request_id::layer(request, inner);
    incoming::layer(payload, request, inner).await
}

/// What is counted, and within bounds.
async fn counted((app, measures): (App, observe::Measures), request: Box<Request>, within: Within) -> Response {
    let inner = move |request: Box<Request>| async move {
        let mut response = AssertUnwindSafe(within.run(request)).catch_unwind().await.unwrap_or_else(panicked);
        // All that further layers add, at once. A stream's map is kept as long as the stream lasts.
        let headers = response.headers_mut();
        headers.reserve(HEADERS.saturating_sub(headers.len()));
        response
    };
    let inner = move |request| deadline::layer(request, inner);
    let inner = move |request| limits::outer(app, request, inner);
    observe::layer(measures, request, inner).await
}

#[derive(Clone)]
struct Private {
    app: App,
    needs: Needs,
    operations: Operations,
}

/// Who may, how often, once, and what is noted of it.
async fn permitted(Private { app, needs, operations }: Private, request: Box<Request>, within: Within) -> Response {
    let (limiting, known) = (app.clone(), operations.clone());
    let inner = move |caller: Caller, request: Box<Request>| {
        let (auditing, repeating) = (limiting.clone(), limiting.clone());
        // Within the layer that replays requests, so that a replay leaves no second event.
        let inner = move |request| audit::layer((auditing, operations), caller, request, within).map(answered);
        let inner = move |request| idempotency::layer(repeating, caller, request, inner).map(answered);
        limits::inner(limiting, caller, request, inner)
    };
    answered(auth::layer((app, needs, known), request, inner).await)
}

fn answered(answer: Result<Response, Problem>) -> Response {
    answer.unwrap_or_else(Problem::into_response)
}

#[expect(clippy::needless_pass_by_value, reason = "what a caught panic gives")]
fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let words = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no words");
    Problem::internal(format!("panic: {words}")).into_response()
}
