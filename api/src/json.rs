//! JSON bodies: read within bounds, refused with the place and the reason.

mod text;
mod unique;

use std::time::Duration;

use axum::extract::{DefaultBodyLimit, FromRequest, OptionalFromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use crate::problem::{Answer, Problem, ProblemType};

pub use text::MAX_DEPTH;
pub use unique::{unique, unique_or_none};

/// Largest body of an ordinary operation: one job's payload (256 KiB) and what is around it.
pub const MAX_BODY_BYTES: usize = 320 * 1024;

/// How long a body may take to come: less than the request may, so that its sender hears what was wrong.
const BODY_TIME: Duration = Duration::from_secs(20);

/// A JSON body in or out.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        if !is_json(request.headers()) {
            return Err(Problem::new(ProblemType::UnsupportedMediaType, "Send the body as application/json."));
        }
        object(&body(request, state).await?).map(Json)
    }
}

/// A body that may be absent: no Content-Type and nothing in it.
impl<T: DeserializeOwned, S: Send + Sync> OptionalFromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Self::Rejection> {
        let typed = request.headers().contains_key(header::CONTENT_TYPE);
        if typed && !is_json(request.headers()) {
            return Err(Problem::new(ProblemType::UnsupportedMediaType, "Send the body as application/json."));
        }
        let bytes = body(request, state).await?;
        if bytes.is_empty() { Ok(None) } else { object(&bytes).map(|value| Some(Self(value))) }
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// The whole body, bounded by the route's `DefaultBodyLimit`.
pub async fn body<S: Send + Sync>(request: Request, state: &S) -> Answer<Bytes> {
    let read = tokio::time::timeout(BODY_TIME, Bytes::from_request(request, state)).await;
    let told = format!("The body did not end within {} seconds.", BODY_TIME.as_secs());
    let read = read.map_err(|_| Problem::new(ProblemType::RequestTimeout, told))?;
    read.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Problem::new(ProblemType::PayloadTooLarge, "")
        } else {
            Problem::new(ProblemType::MalformedJson, "The body could not be read to its end.").caused_by(rejection)
        }
    })
}

/// A JSON body of at most so many bytes, for an operation that takes more than the ordinary ones.
pub async fn up_to<T: DeserializeOwned>(limit: usize, mut request: Request) -> Answer<T> {
    DefaultBodyLimit::max(limit).apply(&mut request);
    <Json<T> as FromRequest<()>>::from_request(request, &()).await.map(|Json(value)| value)
}

/// A field that is there, be it null.
pub fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(field: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(field).map(Some)
}

/// Whether the Content-Type is `application/json` or ends in `+json`.
pub fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|kind| kind == "application/json" || kind.ends_with("+json"))
}

/// The Content-Type in lower case, without its parameters.
pub fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next()?.trim().to_ascii_lowercase())
}

/// Reads one JSON object. serde would take an array for one, with its members in the order of their declaration.
pub fn object<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Answer<T> {
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        // What is no JSON at all is told first.
        read::<serde::de::IgnoredAny>(bytes)?;
        return Err(Problem::new(ProblemType::InvalidBody, "invalid type: sequence, expected an object"));
    }
    read(bytes)
}

/// Reads one JSON document.
pub fn read<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Answer<T> {
    text::check(bytes)?;
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| refusal(&error))?;
    reader.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn refusal(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    if error.inner().classify() == serde_json::error::Category::Data {
        let detail = without_position(error.inner());
        Problem::field(pointer(error.path()), detail).at(error.inner().line(), error.inner().column())
    } else {
        malformed(error.inner())
    }
}

fn malformed(error: &serde_json::Error) -> Problem {
    Problem::new(ProblemType::MalformedJson, without_position(error)).at(error.line(), error.column().max(1))
}

/// serde's words without " at line 1 column 2", which the problem's `position` says.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let end = text.rfind(" at line ").unwrap_or(text.len());
    text[..end].to_owned()
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        let name = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&name);
    }
    pointer
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::read;
    use crate::problem::{Position, ProblemType};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        #[serde(default)]
        lines: Vec<Line>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line {
        quantity: u32,
    }

    #[test]
    fn a_wrong_field_is_named_by_its_pointer() {
        let order: Order = read(br#"{"lines": [{"quantity": 3}]}"#).unwrap();
        assert_eq!(order.lines[0].quantity, 3);
        let problem = read::<Order>(br#"{"lines": [{"quantity": 1}, {"quantity": "x"}]}"#).unwrap_err();
        assert_eq!(problem.kind(), ProblemType::InvalidBody);
        assert_eq!(problem.document().errors[0].pointer, "/lines/1/quantity");
        let problem = read::<Order>(br#"{"lines": [{"quantity": 1, "colour": 2}]}"#).unwrap_err();
        assert_eq!(problem.document().errors[0].pointer, "/lines/0/colour");
    }

    #[test]
    fn text_that_is_not_json_is_refused_with_its_place() {
        for (text, line, column) in [("{\"lines\": [}", 1, 12), ("{\n  lines: []}", 2, 3), ("", 1, 1), ("{} {}", 1, 4)]
        {
            let problem = read::<Order>(text.as_bytes()).unwrap_err();
            assert_eq!(problem.kind(), ProblemType::MalformedJson, "{text}");
            assert_eq!(problem.document().position, Some(Position { line, column }), "{text}");
        }
    }
}
