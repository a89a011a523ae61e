//! What clients send to the API, before anything is looked up: bodies, lines of a stream, parameters, the key of a repeat.

use std::io;

use axum::body::Bytes;
use axum::extract::{FromRequestParts, Request};
use axum::http::{HeaderMap, HeaderValue, Uri};
use futures::stream;
use postrider_api::idempotency;
use postrider_api::json::{self, Lines, MAX_DEPTH};
use postrider_api::page::{self, PageQuery};
use postrider_api::parameters::Query;
use postrider_api::problem::{Problem, ProblemType};
use postrider_api::v1::jobs::{JobsQuery, Submission};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::runtime::Builder;

/// Bytes of a line: few, so that seeds have lines that are too long.
const LONGEST: usize = 64;

/// JSON of any shape.
#[derive(Deserialize)]
struct Any(#[serde(deserialize_with = "json::unique")] Value);

/// As JSON of any shape, and as a job that is submitted.
pub(crate) fn body(bytes: &[u8]) {
    match json::read::<Any>(bytes) {
        Ok(Any(value)) => {
            assert!(is_fit(&value, MAX_DEPTH), "it is too deep, or holds U+0000");
            let again = json::read::<Any>(&written(&value)).map(|Any(again)| again);
            assert!(again.is_ok_and(|again| are_alike(&again, &value)), "it reads otherwise what it wrote");
        }
        Err(problem) => is_refusal(&problem),
    }
    // What serde reads, which lets the last of two members with one name win, is read once each has one.
    if let Ok(value) = serde_json::from_slice::<Value>(bytes) {
        let read = json::read::<Any>(&written(&value));
        assert_eq!(read.is_ok(), is_fit(&value, MAX_DEPTH), "{:?}", read.err());
    }
    match json::object::<Submission>(bytes) {
        Ok(job) => {
            let again = json::object::<Submission>(&written(&job)).map(|again| written(&again));
            let values = again.map(|again| [again, written(&job)].map(|text| serde_json::from_slice::<Value>(&text)));
            let [Ok(again), Ok(job)] = values.expect("a job that was written is read") else { panic!("it is no JSON") };
            assert!(are_alike(&again, &job), "another job");
        }
        Err(problem) => is_refusal(&problem),
    }
}

fn written(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("what was read can be written")
}

fn is_refusal(problem: &Problem) {
    let document = problem.document();
    assert!((400..500).contains(&document.status), "{document:?}");
    assert!(serde_json::to_vec(&document).is_ok(), "{document:?}");
    assert!(document.position.is_none_or(|place| place.line > 0 && place.column > 0), "{document:?}");
}

/// Whether its arrays and objects are no deeper than that, and no text has U+0000.
fn is_fit(value: &Value, depth: usize) -> bool {
    let is_text = |text: &str| !text.contains('\0');
    match value {
        Value::String(text) => is_text(text),
        Value::Array(items) => depth > 0 && items.iter().all(|item| is_fit(item, depth - 1)),
        Value::Object(members) => {
            depth > 0 && members.iter().all(|(name, member)| is_text(name) && is_fit(member, depth - 1))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

/// Equal, but for the last digits of fractions, which serde reads fast and not exactly.
fn are_alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| are_alike(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let is_alike = |(name, member)| other.get(name).is_some_and(|other| are_alike(member, other));
            one.len() == other.len() && one.iter().all(is_alike)
        }
        (Value::Number(one), Value::Number(other)) if one.is_f64() && other.is_f64() => {
            let (one, other) = (one.as_f64().unwrap_or_default(), other.as_f64().unwrap_or_default());
            one.to_bits().abs_diff(other.to_bits()) <= 4
        }
        _ => one == other,
    }
}

/// The first byte says in pieces of which size the rest comes: they are the same lines.
pub(crate) fn lines(bytes: &[u8]) {
    let Some((size, body)) = bytes.split_first() else { return };
    let whole = lines_of(body, body.len());
    assert_eq!(whole, lines_of(body, usize::from(*size)), "how it comes changes what it says");
    assert!(whole.len() <= body.split(|byte| *byte == b'\n').count(), "more lines than there are");
    for line in whole.iter().flatten() {
        assert!(line.len() <= LONGEST && !line.contains('\n') && !line.trim().is_empty(), "{line:?} is no line");
    }
}

/// The lines, and at last why there are no more, if not because the body ended.
fn lines_of(body: &[u8], size: usize) -> Vec<Result<String, ProblemType>> {
    let pieces: Vec<io::Result<Bytes>> =
        body.chunks(size.max(1)).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let mut lines = Lines::of(stream::iter(pieces), LONGEST);
    let mut found = Vec::new();
    loop {
        match now(lines.next()) {
            Ok(None) => return found,
            Ok(Some(line)) => found.push(line.map_err(|problem| problem.kind())),
            Err(problem) => {
                found.push(Err(problem.kind()));
                return found;
            }
        }
        assert!(found.len() <= body.len() + 1, "lines without an end");
    }
}

/// As the parameters of a list, as a cursor, and as the key of a request that may be repeated.
pub(crate) fn parameters(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(query) = read::<JobsQuery>(&text)
        && let Ok(filter) = query.filter()
    {
        assert!(filter.kind.as_ref().is_none_or(|kind| kind.as_str().parse().ok().as_ref() == Some(kind)));
        assert!(filter.queue.as_ref().is_none_or(|queue| queue.as_str().parse().ok().as_ref() == Some(queue)));
        assert!(filter.lane.as_ref().is_none_or(|lane| lane.as_str().parse().ok().as_ref() == Some(lane)));
        assert!(filter.batch.is_none_or(|batch| batch.to_string().parse().ok() == Some(batch)));
        for time in [filter.created_after, filter.created_before].into_iter().flatten() {
            assert_eq!(time.to_rfc3339().parse().ok(), Some(time), "a time that cannot be written");
        }
    }
    if let Some(query) = read::<PageQuery>(&text) {
        assert!((1..=u64::from(page::MAX_LIMIT)).contains(&query.limit.into()), "a page without bounds");
        let _ = query.place().map_err(|problem| is_refusal(&problem));
    }
    match page::place(Some(&text)) {
        Ok(place) => assert_eq!(place.map(|place| place.to_string()).as_deref(), Some(&*text), "another place"),
        Err(problem) => is_refusal(&problem),
    }
    if let Ok(value) = HeaderValue::from_bytes(bytes) {
        match idempotency::key(&HeaderMap::from_iter([(idempotency::HEADER, value)])) {
            Ok(key) => assert!(key.as_deref() == Some(&*text) && idempotency::is_key(&text), "another key"),
            Err(problem) => is_refusal(&problem),
        }
    }
}

/// The parameters that this is, if it can stand in a request.
fn read<T: DeserializeOwned>(query: &str) -> Option<T> {
    let uri: Uri = format!("/v1/jobs?{query}").parse().ok()?;
    let mut request = Request::new(());
    *request.uri_mut() = uri;
    let (mut parts, ()) = request.into_parts();
    match now(Query::<T>::from_request_parts(&mut parts, &())) {
        Ok(Query(read)) => Some(read),
        Err(problem) => {
            is_refusal(&problem);
            None
        }
    }
}

/// What waits for nothing.
fn now<T>(work: impl Future<Output = T>) -> T {
    Builder::new_current_thread().build().expect("a runtime").block_on(work)
}

#[cfg(test)]
mod tests {
    use postrider_api::json;

    use super::{JobsQuery, LONGEST, PageQuery, ProblemType, Submission, lines_of, read};
    use crate::seeds::home;

    fn seed(path: &str) -> Vec<u8> {
        std::fs::read(home().join("seeds").join(path)).unwrap()
    }

    #[test]
    fn the_seeds_lead_through_all_of_it() {
        assert!(json::object::<Submission>(&seed("api_body/job")).is_ok());
        let kinds = |path: &str| json::object::<Submission>(&seed(path)).unwrap_err().kind();
        assert_eq!(kinds("api_body/twice"), ProblemType::InvalidBody);
        assert_eq!(kinds("api_body/deep"), ProblemType::TooDeep);
        let found = lines_of(&seed("api_lines/jobs")[1..], LONGEST);
        assert_eq!(found.iter().filter(|line| line.is_ok()).count(), 3, "{found:?}");
        assert!(found.contains(&Err(ProblemType::PayloadTooLarge)), "{found:?}");
        let text = |path: &str| String::from_utf8(seed(path)).unwrap();
        assert!(read::<JobsQuery>(&text("api_parameters/filters")).unwrap().filter().is_ok());
        assert!(read::<PageQuery>(&text("api_parameters/page")).unwrap().place().unwrap().is_some());
        assert!(postrider_api::page::place(Some(&text("api_parameters/cursor"))).unwrap().is_some());
        assert!(postrider_api::idempotency::is_key(&text("api_parameters/key")));
    }
}
