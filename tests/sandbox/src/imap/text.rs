//! How text goes to the client: quoted where it may be, as a literal where it must be.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};

/// A quoted string or a literal.
pub(super) fn string(text: &[u8]) -> Vec<u8> {
    let plain = text.len() < 1000 && text.iter().all(|byte| (b' '..=b'~').contains(byte));
    if !plain {
        return literal(text);
    }
    let mut out = vec![b'"'];
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
    out
}

/// `NIL` for nothing.
pub(super) fn nstring(text: Option<&[u8]>) -> Vec<u8> {
    text.map_or_else(|| b"NIL".to_vec(), string)
}

pub(super) fn literal(bytes: &[u8]) -> Vec<u8> {
    let mut out = format!("{{{}}}\r\n", bytes.len()).into_bytes();
    out.extend_from_slice(bytes);
    out
}

/// Text that is not ASCII becomes an encoded word, as in a header.
pub(super) fn encoded_word(text: &str) -> String {
    if text.is_ascii() { text.to_owned() } else { format!("=?utf-8?B?{}?=", STANDARD.encode(text)) }
}

/// `"17-Jul-1996 02:44:25 +0000"`.
pub(super) fn date_time(at: DateTime<Utc>) -> String {
    at.format("\"%d-%b-%Y %H:%M:%S +0000\"").to_string()
}
