//! Reads what a refused request still sends, so that its sender gets to see the answer.
//!
//! Closing a connection while the other side is sending resets it, and the reset overtakes the answer: the client
//! then knows of a broken connection and of no problem. So the rest is read and thrown away, within bounds.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody as _};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, StreamExt as _};

/// A sender of more than this, or a slower one, does without the answer.
const MAX_BYTES: usize = 64 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(5);

/// The layer around everything.
pub async fn layer(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let rest = Shared(Arc::new(Mutex::new(body.into_data_stream())));
    let response = next.run(Request::from_parts(parts, Body::from_stream(rest.clone()))).await;
    // Whether all was read or time is up: there is nothing else to do.
    let _ = tokio::time::timeout(PATIENCE, rest.drain()).await;
    response
}

/// A body that the handler reads and that is still there when the handler has dropped it.
#[derive(Clone)]
struct Shared(Arc<Mutex<BodyDataStream>>);

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
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Pin::new(&mut *body).poll_next(context)
    }
}
