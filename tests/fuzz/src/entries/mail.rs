//! Mails.

use std::hint::black_box;

use postrider_worker::mail::{Attached, Mail, split};

pub(crate) fn message(bytes: &[u8]) {
    let mail = black_box(Mail::parse(bytes));
    let _ = black_box(Attached::parse(bytes));
    black_box(split(&mail.text, mail.is_reply()));
}

/// Where the new text ends and the quoted one begins.
pub(crate) fn text(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for is_reply in [true, false] {
        black_box(split(&text, is_reply));
    }
}

/// A mail that is nothing but HTML.
pub(crate) fn html(bytes: &[u8]) {
    let mut mail = b"From: a@b.example\r\nContent-Type: text/html; charset=utf-8\r\n\r\n".to_vec();
    mail.extend_from_slice(bytes);
    message(&mail);
}
