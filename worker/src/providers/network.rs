//! What is told of a call over HTTP that came to nothing.

use std::error::Error as _;

/// The innermost cause only: the text of a `reqwest::Error` names the URL, in which there may be secrets.
pub(super) fn innermost(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    while let Some(deeper) = cause.and_then(|cause| cause.source()) {
        cause = Some(deeper);
    }
    let unnamed = if error.is_timeout() { "no answer in time" } else { "the connection failed" };
    cause.map_or_else(|| unnamed.to_owned(), ToString::to_string)
}
