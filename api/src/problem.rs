//! Error answers: problem+json (RFC 9457) out of the closed catalogue, for every failure a request can meet.
//!
//! A problem has an outer side, which the caller reads, and an inner cause, which only the log gets, once, in
//! [`report`]. The answer's body is written there too, because only the outermost layer knows the request id and
//! sees the failures that axum and tower answer by themselves.

mod catalogue;
mod document;
mod kind;
mod pages;

use std::error::Error;
use std::fmt;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

pub use catalogue::Entry;
pub use document::{FieldProblem, MEDIA_TYPE, Position, ProblemDocument, report};
pub use kind::ProblemType;
pub use pages::pages;

/// One failure of one request.
#[derive(Debug)]
pub struct Problem {
    kind: ProblemType,
    parts: Box<Parts>,
}

/// Boxed, so that the `Err` side of every handler stays small.
#[derive(Debug)]
struct Parts {
    detail: String,
    fields: Vec<FieldProblem>,
    position: Option<Position>,
    job_id: Option<String>,
    retry_after: Option<Duration>,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

/// What handlers return.
pub type Answer<T> = Result<T, Problem>;

/// Most bytes of a text about what is wrong. Parsers put what they found into theirs, and that has any length.
const LONGEST: usize = 1_000;

/// The text, or its beginning and its end: there stand what is wrong, and what was expected.
fn bounded(text: String) -> String {
    if text.len() <= LONGEST {
        return text;
    }
    let (head, tail) = (text.floor_char_boundary(LONGEST / 4), text.ceil_char_boundary(text.len() - LONGEST * 3 / 4));
    format!("{} … {}", &text[..head], &text[tail..])
}

impl Problem {
    /// A problem of this type; `detail` is about this occurrence and must hold no secret and no inner cause.
    pub fn new(kind: ProblemType, detail: impl Into<String>) -> Self {
        let unavailable = kind.entry().status == StatusCode::SERVICE_UNAVAILABLE;
        let parts = Parts {
            detail: bounded(detail.into()),
            fields: Vec::new(),
            position: None,
            job_id: None,
            retry_after: unavailable.then_some(Duration::from_secs(1)),
            cause: None,
        };
        Self { kind, parts: Box::new(parts) }
    }

    /// Nothing of this sort has this id, or it is another tenant's.
    pub fn not_found(what: &str) -> Self {
        Self::new(ProblemType::NotFound, format!("No such {what}."))
    }

    /// A field of the body has a value the operation does not take. `pointer` is a JSON pointer.
    pub fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::new(ProblemType::InvalidBody, detail.clone()).with_field(pointer, detail)
    }

    /// A fault of ours; the caller sees only the catalogue's words.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ProblemType::Internal, "").caused_by(cause)
    }

    /// Names a field that is to blame.
    #[must_use]
    pub fn with_field(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let (pointer, detail) = (bounded(pointer.into()), bounded(detail.into()));
        self.parts.fields.push(FieldProblem { pointer, detail });
        self
    }

    /// Names the place in a text: the body, or the formula.
    #[must_use]
    pub fn at(mut self, line: usize, column: usize) -> Self {
        self.parts.position = Some(Position { line, column });
        self
    }

    /// Names the job that stands in the way.
    #[must_use]
    pub fn about_job(mut self, id: impl fmt::Display) -> Self {
        self.parts.job_id = Some(id.to_string());
        self
    }

    /// When a repeat may succeed; rounded up to whole seconds.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.parts.retry_after = Some(wait);
        self
    }

    /// What Retry-After says.
    pub fn retry_after_seconds(&self) -> Option<u128> {
        self.parts.retry_after.map(|wait| wait.as_millis().div_ceil(1000).max(1))
    }

    /// The inner cause, for the log only.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.parts.cause = Some(cause.into());
        self
    }

    /// Which entry of the catalogue this is.
    pub fn kind(&self) -> ProblemType {
        self.kind
    }

    /// The outer side, as it is sent.
    pub fn document(&self) -> ProblemDocument {
        let entry = self.kind.entry();
        ProblemDocument {
            kind: format!("/problems/{}", entry.slug),
            title: entry.title.to_owned(),
            status: entry.status.as_u16(),
            detail: if self.parts.detail.is_empty() { entry.title.to_owned() } else { self.parts.detail.clone() },
            next: entry.next.to_owned(),
            request_id: None,
            errors: self.parts.fields.clone(),
            position: self.parts.position,
            job_id: self.parts.job_id.clone(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.entry().slug, self.parts.detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.kind.entry().status.into_response();
        if let Some(seconds) = self.retry_after_seconds()
            && let Ok(value) = HeaderValue::from_str(&seconds.to_string())
        {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        if self.kind == ProblemType::Unauthenticated {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"postrider\""));
        }
        response.extensions_mut().insert(document::Pending::new(self));
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use axum::http::header::RETRY_AFTER;
    use axum::response::IntoResponse as _;

    use super::{Problem, ProblemType};

    #[test]
    fn every_problem_has_its_own_slug_and_says_what_to_do() {
        let mut slugs = HashSet::new();
        for problem in ProblemType::ALL {
            let entry = problem.entry();
            assert!(slugs.insert(entry.slug), "{} twice", entry.slug);
            assert_eq!(ProblemType::by_slug(entry.slug), Some(problem));
            assert!(entry.status.is_client_error() || entry.status.is_server_error());
            assert!(entry.title.ends_with('.') && entry.next.ends_with('.'), "{}", entry.slug);
        }
    }

    #[test]
    fn whoever_comes_back_when_told_is_not_too_early() {
        for (millis, seconds) in [(0, "1"), (1, "1"), (1_000, "1"), (1_001, "2"), (3_599_001, "3600")] {
            let problem = Problem::new(ProblemType::TooManyRequests, "").retry_after(Duration::from_millis(millis));
            assert_eq!(problem.into_response().headers()[RETRY_AFTER], seconds, "{millis} ms");
        }
        // What is only away for now says so without being told; what is wrong for good says nothing.
        assert_eq!(Problem::new(ProblemType::Overloaded, "").into_response().headers()[RETRY_AFTER], "1");
        assert!(!Problem::not_found("job").into_response().headers().contains_key(RETRY_AFTER));
    }
}
