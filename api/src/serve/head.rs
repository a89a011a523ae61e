//! The head of a request, away from the buffer that it was read into.
//!
//! hyper cuts the target and the values of the headers out of its buffer, which stays for as long as any of them does. A request that waits
//! would so hold one buffer, while hyper, which looks whether the client is still there, has another.

use axum::http::{HeaderValue, Request, Uri};
use bytes::BytesMut;

/// The request with its head in memory of its own, all in one piece.
pub(super) fn detached<B>(mut request: Request<B>) -> Request<B> {
    let target = request.uri().to_string();
    let bytes = request.headers().values().map(HeaderValue::len).sum::<usize>() + target.len();
    let mut memory = BytesMut::with_capacity(bytes);
    let mut copied = |text: &[u8]| {
        memory.extend_from_slice(text);
        memory.split().freeze()
    };
    // What was a target or a value is one; otherwise it stays where it is.
    if let Ok(own) = Uri::from_maybe_shared(copied(target.as_bytes())) {
        *request.uri_mut() = own;
    }
    for value in request.headers_mut().values_mut() {
        if let Ok(mut own) = HeaderValue::from_maybe_shared(copied(value.as_bytes())) {
            own.set_sensitive(value.is_sensitive());
            *value = own;
        }
    }
    request
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_head_says_the_same_in_memory_of_its_own() {
        for target in ["/v1/jobs/job_1?wait=60s&a=%20b", "*", "http://example.com/a?b=c", "example.com:443", "/"] {
            let buffer = Bytes::from(format!("{target}\ttext/plain;a=\u{e9}"));
            let mut request = Request::new(());
            *request.uri_mut() = Uri::from_maybe_shared(buffer.slice(..target.len())).unwrap();
            let value = HeaderValue::from_maybe_shared(buffer.slice(target.len()..)).unwrap();
            request.headers_mut().insert("accept", value.clone());
            request.headers_mut().append("accept", value.clone());
            request.headers_mut().insert("x-empty", HeaderValue::from_static(""));
            let (uri, headers) = (request.uri().clone(), request.headers().clone());
            let request = detached(request);
            assert_eq!((request.uri(), request.headers()), (&uri, &headers), "{target}");
            drop((uri, headers, value));
            assert!(buffer.is_unique(), "{target}");
        }
    }
}
