//! `/upload/…?uploadType=multipart`: a JSON part and a message/rfc822 part, for messages too large for JSON.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use serde_json::Value;

use super::{call, drafts, sending, trouble};
use crate::office::Office;

type Answer = Result<axum::response::Response, call::Refusal>;
type Shared = State<Arc<Office>>;
/// Largest message that Google takes.
const MAX_MESSAGE_BYTES: usize = 35 * 1024 * 1024;

pub(super) async fn draft(
    State(office): Shared,
    Path(user): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let (resource, raw) = parts(&query, &headers, &body)?;
    drafts::made(&office, &headers, &user, raw, resource["message"]["threadId"].as_str()).await
}

pub(super) async fn send(
    State(office): Shared,
    Path(user): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let (resource, raw) = parts(&query, &headers, &body)?;
    sending::at_once(&office, &headers, &user, raw, resource["threadId"].as_str().map(str::to_owned)).await
}

/// The resource and the message.
fn parts(query: &[(String, String)], headers: &HeaderMap, body: &Bytes) -> Result<(Value, Bytes), call::Refusal> {
    let bad = |message: &str| call::Refusal::new(trouble::error(400, "badRequest", message));
    if !query.iter().any(|(name, value)| name == "uploadType" && value == "multipart") {
        return Err(bad("Only uploadType=multipart"));
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let boundary = kind.strip_prefix("multipart/related").and_then(|rest| rest.split_once("boundary="));
    let Some(boundary) = boundary.map(|(_, text)| text.trim().trim_matches('"').to_owned()) else {
        return Err(bad("Content-Type must be multipart/related with a boundary"));
    };
    let mut found = split(body, format!("--{boundary}").as_bytes()).into_iter();
    let (Some((json_type, json)), Some((mail_type, raw))) = (found.next(), found.next()) else {
        return Err(bad("Two parts are needed"));
    };
    if !json_type.contains("application/json") || !mail_type.contains("message/rfc822") {
        return Err(bad("The parts must be application/json and message/rfc822"));
    }
    if raw.len() > MAX_MESSAGE_BYTES {
        return Err(call::Refusal::new(trouble::error(413, "uploadTooLarge", "Request Entity Too Large")));
    }
    Ok((call::json(&json)?, raw))
}

/// The parts between the boundaries: head and content.
fn split(body: &Bytes, boundary: &[u8]) -> Vec<(String, Bytes)> {
    let mut starts: Vec<usize> = Vec::new();
    let mut at = 0;
    while at + boundary.len() <= body.len() {
        let first = body[at..].iter().position(|byte| *byte == boundary[0]).map(|step| at + step);
        let Some(candidate) = first else { break };
        at = candidate + 1;
        let fresh_line = candidate == 0 || body[candidate - 1] == b'\n';
        if fresh_line && body[candidate..].starts_with(boundary) {
            starts.push(candidate);
        }
    }
    let mut parts = Vec::new();
    for pair in starts.windows(2) {
        let part = body.slice(pair[0] + boundary.len()..pair[1]);
        let Some(gap) = part.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&part[..gap]).to_lowercase();
        let content = part.slice(gap + 4..);
        let end = content.len() - usize::from(content.ends_with(b"\r\n")) * 2;
        parts.push((head, content.slice(..end)));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_parts_come_out_as_they_went_in() {
        let body = "--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n\
                    Subject: --b in a line\r\n\r\nline\r\n\r\n--b--\r\n";
        let parts = split(&Bytes::from(body), b"--b");
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0].1, "{}");
        assert_eq!(parts[1].1, "Subject: --b in a line\r\n\r\nline\r\n");
    }
}
