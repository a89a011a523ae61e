//! Bodies on their way in: bounded, and read to their end even when the request is refused.
//!
//! Closing a connection while the other side is sending resets it, and the reset overtakes the answer: the client
//! then knows of a broken connection and of no problem. So the rest is read and thrown away, within bounds.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody as _};
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use tokio::time::{Sleep, sleep};

use crate::layers::Inner;
use crate::limits::BodyClass;

/// A sender of more than this, or a slower one, does without the answer.
const MAX_BYTES: usize = 64 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(5);

/// Nothing came of a body for too long.
#[derive(Debug, thiserror::Error)]
#[error("nothing came for {} s", .0.as_secs())]
pub struct Stalled(pub Duration);

/// The layer around everything. `payload` is the largest payload of a job.
pub async fn layer(payload: usize, request: Box<Request>, next: impl Inner) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str).unwrap_or_default();
    let bounds = BodyClass::of(request.method(), path).bounds(payload);
    // With a length beside it, a proxy may have taken the body to end elsewhere: what follows it then is not the next request. The
    // length is gone by now, so no request is taken after any such body.
    let is_last = request.headers().contains_key(header::TRANSFER_ENCODING);
    let (mut parts, body) = request.into_parts();
    let body = Incoming { body: body.into_data_stream(), stall: bounds.stall, stalled: None };
    let rest = Shared(Arc::new(Mutex::new(body)));
    parts.extensions.insert(bounds);
    let mut request = Box::new(Request::from_parts(parts, Body::from_stream(rest.clone())));
    DefaultBodyLimit::max(bounds.bytes).apply(&mut request);
    let mut response = next.run(request).await;
    // Whether all was read or time is up: there is nothing else to do.
    let _ = tokio::time::timeout(PATIENCE, rest.drain()).await;
    if is_last {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A body with the patience for its sender.
struct Incoming {
    body: BodyDataStream,
    stall: Duration,
    /// Set while nothing comes.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Incoming {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, axum::Error>>> {
        let come = Pin::new(&mut self.body).poll_next(context);
        if come.is_ready() {
            self.stalled = None;
            return come;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(self.stall)));
        stalled.as_mut().poll(context).map(|()| Some(Err(axum::Error::new(Stalled(self.stall)))))
    }
}

/// A body that the handler reads and that is still there when the handler has dropped it.
#[derive(Clone)]
struct Shared(Arc<Mutex<Incoming>>);

impl Shared {
    async fn drain(mut self) {
        let mut bytes = 0;
        while let Some(Ok(chunk)) = self.next().await {
            bytes += chunk.len();
            if bytes > MAX_BYTES {
                return;
            }
        }
    }
}

impl Stream for Shared {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).poll(context)
    }
}
