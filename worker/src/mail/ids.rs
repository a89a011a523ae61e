//! Message ids as mails carry them: in brackets, in lists, and broken.

use mail_parser::HeaderValue;

/// The ids of a header, oldest first.
pub(super) fn of(value: &HeaderValue<'_>) -> Vec<String> {
    match value {
        HeaderValue::Text(id) => clean(id).into_iter().collect(),
        HeaderValue::TextList(ids) => ids.iter().filter_map(|id| clean(id)).collect(),
        _ => Vec::new(),
    }
}

/// An id without brackets; nothing that could break a header of ours when it is sent back.
pub(super) fn clean(id: &str) -> Option<String> {
    let id = id.trim().trim_start_matches('<').trim_end_matches('>');
    let usable = !id.is_empty() && id.len() <= 400 && id.chars().all(|c| c.is_ascii_graphic() && c != '<' && c != '>');
    usable.then(|| id.to_owned())
}
