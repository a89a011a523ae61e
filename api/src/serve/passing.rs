use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Error;
use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use super::wire::Turn;

/// Longer bodies, and those of unknown length, count as being served until they were passed on whole.
const LONG: u64 = 64 * 1024;

/// Ends the turn with the answer, or with its body if that takes time: a connection on which a stream says nothing is not idle.
pub(super) fn until_passed_on(response: Response, turn: Turn) -> Response {
    if response.body().size_hint().exact().is_some_and(|bytes| bytes <= LONG) {
        return response;
    }
    response.map(|body| Body::new(Passing { body, _turn: turn }))
}

struct Passing {
    body: Body,
    _turn: Turn,
}

impl HttpBody for Passing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
