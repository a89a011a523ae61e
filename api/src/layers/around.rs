//! A function as a layer of a router: axum's `middleware::from_fn` without its copies.
//!
//! A route is copied for each request, and with it everything within its layers; `from_fn` copies it once more at each of them, and
//! boxes it again. Here what is within is shared, and copied one step deep when the request gets there.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::Response;
use axum::routing::Route;
use futures::FutureExt as _;
use tower::{Layer, Service};

use super::Inner;

/// The layer: a function, and what it is given with each request.
#[derive(Clone)]
pub(super) struct Around<S, F> {
    state: S,
    layer: F,
}

impl<S, F> Around<S, F> {
    pub(super) fn new<R>(state: S, layer: F) -> Self
    where
        F: Fn(S, Box<Request>, Within) -> R,
        R: Future<Output = Response> + Send + 'static,
    {
        Self { state, layer }
    }
}

/// What the layer's function hands the request on to.
pub(super) struct Within(Arc<Route>);

impl Inner for Within {
    /// No `async fn`: that would hold the copy of the route, and the request's box, until the answer is there.
    fn run(self, request: Box<Request>) -> impl Future<Output = Response> + Send {
        // A route is always ready.
        Route::clone(&self.0).call(*request).map(|Ok(response)| response)
    }
}

impl<S: Clone, F: Clone> Layer<Route> for Around<S, F> {
    type Service = Placed<S, F>;

    fn layer(&self, within: Route) -> Self::Service {
        Placed { around: self.clone(), within: Arc::new(within) }
    }
}

/// The layer around a route.
#[derive(Clone)]
pub(super) struct Placed<S, F> {
    around: Around<S, F>,
    within: Arc<Route>,
}

impl<S, F, R> Service<Request> for Placed<S, F>
where
    S: Clone,
    F: Fn(S, Box<Request>, Within) -> R,
    R: Future<Output = Response> + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(())) // a route always is
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Around { state, layer } = &self.around;
        // Not an async block: that would hold the answer twice, and it is some kilobytes for each request that waits.
        layer(state.clone(), Box::new(request), Within(Arc::clone(&self.within))).map(Ok).boxed()
    }
}
