//! JSON bodies: read within bounds, refused with the place and the reason.

mod lines;
mod text;
mod unique;

use std::error::Error;
use std::time::Duration;

use axum::extract::{FromRequest, OptionalFromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use crate::incoming::Stalled;
use crate::limits::BodyBounds;
use crate::problem::{Answer, Problem, ProblemType};

pub use lines::Lines;
pub use text::MAX_DEPTH;
pub use unique::{unique, unique_or_none};

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

/// The whole body, within the bounds of its class.
pub async fn body<S: Send + Sync>(request: Request, state: &S) -> Answer<Bytes> {
    // A request without bounds has no body.
    let time = request.extensions().get::<BodyBounds>().map_or(Duration::ZERO, |bounds| bounds.time);
    let read = tokio::time::timeout(time, Bytes::from_request(request, state)).await;
    let late = |told: String| Problem::new(ProblemType::RequestTimeout, told);
    let read = read.map_err(|_| late(format!("The body did not end within {} seconds.", time.as_secs())))?;
    read.map_err(|rejection| match stalled(&rejection) {
        Some(Stalled(stall)) => late(format!("Nothing came of the body for {} seconds.", stall.as_secs())),
        None if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Problem::new(ProblemType::PayloadTooLarge, ""),
        None => Problem::new(ProblemType::MalformedJson, "The body could not be read to its end.").caused_by(rejection),
    })
}

/// The JSON body of a request that was looked at before.
pub async fn of<T: DeserializeOwned>(request: Request) -> Answer<T> {
    <Json<T> as FromRequest<()>>::from_request(request, &()).await.map(|Json(value)| value)
}

/// The pause that ended a body, if one did.
fn stalled<'e>(mut error: &'e (dyn Error + 'static)) -> Option<&'e Stalled> {
    loop {
        if let Some(stalled) = error.downcast_ref() {
            return Some(stalled);
        }
        error = error.source()?;
    }
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
        let pointer = pointer(error.path());
        let detail = without_position(error.inner());
        let detail = if may_be_secret(&pointer) { without_value(&detail) } else { detail };
        Problem::field(pointer, detail).at(error.inner().line(), error.inner().column().max(1))
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

/// Whether what stands there is not to be repeated, neither to its sender nor in a log: by the field's name, or because it stands where
/// any field may have been meant.
fn may_be_secret(pointer: &str) -> bool {
    let secret = ["password", "secret", "token", "code", "key"];
    pointer.is_empty() || pointer.split('/').any(|name| secret.iter().any(|part| name.contains(part)))
}

/// serde's words without the value: "invalid type: integer `5`, expected a string" as "invalid type: integer, expected a string".
fn without_value(words: &str) -> String {
    let Some((kind, expected)) =
        words.split_once(": ").and_then(|(kind, rest)| Some((kind, rest.rsplit_once(", expected ")?)))
    else {
        // A field's name, or words of our own.
        return words.to_owned();
    };
    let (value, expected) = expected;
    let shape: String = value.chars().take_while(|c| c.is_ascii_alphabetic() || *c == ' ').collect();
    format!("{kind}: {}, expected {expected}", shape.trim_end())
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
    use std::convert::Infallible;
    use std::time::Duration;

    use axum::body::Body;
    use axum::extract::Request;
    use axum::middleware::Next;
    use axum::response::IntoResponse as _;
    use axum::routing::post;
    use axum::{Router, middleware};
    use bytes::Bytes;
    use futures::StreamExt as _;
    use serde::Deserialize;
    use tower::ServiceExt as _;

    use super::read;
    use crate::incoming;
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
        let problem = read::<Order>(b"{\"colour\"\n\n: 2}").unwrap_err();
        assert_eq!(problem.document().position, Some(Position { line: 3, column: 1 }), "places count from 1");
    }

    #[test]
    fn a_secret_of_another_type_is_not_repeated() {
        #[derive(Debug, Deserialize)]
        struct Login {
            #[expect(dead_code, reason = "never read")]
            password: String,
            #[expect(dead_code, reason = "never read")]
            name: Option<u32>,
        }
        for (body, pointer, detail) in [
            (r#"{"password": 12345678}"#, "/password", "invalid type: integer, expected a string"),
            (r#"{"password": ["hunter2"]}"#, "/password", "invalid type: sequence, expected a string"),
            (r#"{"password": 1.5e3}"#, "/password", "invalid type: floating point, expected a string"),
            (r#""hunter2, expected""#, "", "invalid type: string, expected struct Login"),
            (r#"{"password": "x", "name": "hunter2"}"#, "/name", "invalid type: string \"hunter2\", expected u32"),
            (r#"{"name": 1}"#, "", "missing field `password`"),
        ] {
            let problem = read::<Login>(body.as_bytes()).unwrap_err();
            let told = &problem.document().errors[0];
            assert_eq!((told.pointer.as_str(), told.detail.as_str()), (pointer, detail), "{body}");
        }
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

    /// What becomes of a body whose pieces come so far apart.
    async fn sent(path: &str, pieces: u32, apart: Duration) -> String {
        let read = async |request: Request| match super::body(request, &()).await {
            Ok(bytes) => bytes.len().to_string().into_response(),
            Err(problem) => problem.to_string().into_response(),
        };
        let routes = Router::new().route("/v1/products", post(read)).route("/v1/jobs", post(read));
        let routes = routes.layer(middleware::from_fn(async |request: Request, next: Next| {
            incoming::layer(1024 * 1024, Box::new(request), move |request: Box<Request>| next.run(*request)).await
        }));
        let body = futures::stream::iter(0..pieces).then(move |_| async move {
            tokio::time::sleep(apart).await;
            Ok::<_, Infallible>(Bytes::from_static(b"piece"))
        });
        let request = axum::http::Request::post(path).body(Body::from_stream(body)).unwrap();
        let response = routes.oneshot(request).await.unwrap();
        let text = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        String::from_utf8(text.to_vec()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_comes_in_time_and_without_long_pauses() {
        let second = Duration::from_secs(1);
        assert_eq!(sent("/v1/products", 15, second).await, "75");
        assert_eq!(sent("/v1/products", 30, second).await, "request-timeout: The body did not end within 20 seconds.");
        // A large job may take longer, and pause no longer.
        assert_eq!(sent("/v1/jobs", 30, second).await, "150");
        assert_eq!(sent("/v1/jobs", 90, second).await, "request-timeout: The body did not end within 60 seconds.");
        assert_eq!(sent("/v1/jobs", 2, second * 25).await, "request-timeout: Nothing came of the body for 20 seconds.");
    }
}
