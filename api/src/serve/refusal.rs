//! Answers to what never became a request: no route, and so no layer, has seen it.

use std::fmt::Write as _;

use crate::problem::{MEDIA_TYPE, Problem, ProblemType};
use crate::request_id::RequestId;

/// Longest answer that can be hyper's own.
const LONGEST_PLAIN: usize = 256;

/// The whole answer, after which the connection is closed.
pub(super) fn text(problem: &Problem) -> Vec<u8> {
    let request_id = RequestId::random();
    let mut document = problem.document();
    document.request_id = Some(request_id.as_str().to_owned());
    // A document always serialises; an empty body would still have its status.
    let body = serde_json::to_string(&document).unwrap_or_default();
    let status = problem.kind().entry().status;
    let mut text = format!("HTTP/1.1 {} {}\r\n", status.as_u16(), status.canonical_reason().unwrap_or_default());
    if let Some(seconds) = problem.retry_after_seconds() {
        let _ = write!(text, "retry-after: {seconds}\r\n");
    }
    let _ = write!(
        text,
        "content-type: {MEDIA_TYPE}\r\ncontent-length: {}\r\nx-request-id: {}\r\nx-content-type-options: nosniff\r\n\
         cache-control: no-store\r\nconnection: close\r\n\r\n{body}",
        body.len(),
        request_id.as_str()
    );
    text.into_bytes()
}

/// What is sent instead of hyper's own refusal of a head, which has no body. Everything else goes out as it is: each answer of ours
/// carries the request's id, and these never do.
pub(super) fn instead_of(answer: &[u8]) -> Option<Vec<u8>> {
    let status = answer.strip_prefix(b"HTTP/1.1 4")?.get(..2)?;
    if answer.len() > LONGEST_PLAIN
        || contains(answer, b"x-request-id: ")
        || !contains(answer, b"content-length: 0\r\n")
    {
        return None;
    }
    let kind = match status {
        b"00" => ProblemType::MalformedRequest,
        b"14" => ProblemType::UriTooLong,
        b"31" => ProblemType::HeadTooLarge,
        _ => return None,
    };
    Some(text(&Problem::new(kind, "")))
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_answers_without_a_body_and_a_name_are_replaced() {
        let plain = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let told = String::from_utf8(instead_of(plain).unwrap()).unwrap();
        assert!(told.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"), "{told}");
        assert!(told.ends_with('}') && told.contains("/problems/head-too-large"), "{told}");
        let other: [&[u8]; 4] = [
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 400 Bad Request\r\nx-request-id: a\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 12\r\n\r\n",
            b"HTTP/1.1 4",
        ];
        for answer in other {
            assert!(instead_of(answer).is_none());
        }
    }
}
