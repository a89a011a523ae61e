//! A name for each request, taken from the caller or made here, in the answer and in every log line.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::layers::Inner;

/// Header that carries the id in both directions.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

const MAX_LENGTH: usize = 128;

/// The id of the request being served.
#[derive(Debug, Clone)]
pub struct RequestId(String);

impl RequestId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// For a request that brought none.
    pub fn random() -> Self {
        Self(Uuid::now_v7().simple().to_string())
    }

    /// The caller's id when it is safe to log and to echo, else a new one.
    fn of(request: &Request) -> Self {
        let given = request.headers().get(HEADER).and_then(|value| value.to_str().ok());
        match given {
            Some(id) if is_acceptable(id) => Self(id.to_owned()),
            _ => Self::random(),
        }
    }
}

fn is_acceptable(id: &str) -> bool {
    (1..=MAX_LENGTH).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':'))
}

/// Layer that gives the request its id and the log its span.
pub async fn layer(mut request: Box<Request>, next: impl Inner) -> Response {
    let id = RequestId::of(&request);
    request.extensions_mut().insert(id.clone());
    let span = tracing::info_span!("request", request_id = %id.0, method = %request.method());
    let mut response = next.run(request).instrument(span).await;
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::is_acceptable;

    #[test]
    fn a_foreign_id_cannot_write_into_the_log() {
        assert!(is_acceptable("req-1.a_b:C"));
        for bad in ["", "a b", "a\nb", "ü", &"x".repeat(129)] {
            assert!(!is_acceptable(bad), "{bad:?}");
        }
    }
}
