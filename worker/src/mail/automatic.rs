//! Which mails no automaton may answer: two of them would mail each other for ever.

use mail_parser::{Message, MimeHeaders};

/// Why this mail was written by a machine or to many, if so.
pub(super) fn reason(message: &Message<'_>) -> Option<&'static str> {
    let header = |name: &str| message.header_raw(name).map(|value| value.trim().to_ascii_lowercase());
    if header("Auto-Submitted").is_some_and(|value| !value.is_empty() && !value.starts_with("no")) {
        return Some("an automatic mail (Auto-Submitted)");
    }
    if header("Precedence").is_some_and(|value| matches!(value.as_str(), "bulk" | "junk" | "list" | "auto_reply")) {
        return Some("bulk mail (Precedence)");
    }
    if header("List-Id").is_some() {
        return Some("mail of a list (List-Id)");
    }
    if header("X-Autoreply").is_some() || header("X-Autorespond").is_some() {
        return Some("an automatic reply");
    }
    if header("Return-Path").is_some_and(|value| value == "<>") {
        return Some("a bounce (empty Return-Path)");
    }
    let report = message
        .content_type()
        .is_some_and(|kind| kind.c_type == "multipart" && kind.subtype().is_some_and(|sub| sub == "report"));
    if report {
        return Some("a delivery report");
    }
    let from = message.from().and_then(|from| from.first()).and_then(|from| from.address());
    let local = from.and_then(|address| address.split('@').next()).unwrap_or_default().to_ascii_lowercase();
    match local.as_str() {
        "mailer-daemon" | "postmaster" | "bounce" | "bounces" => Some("mail of a mail system"),
        _ => None,
    }
}
