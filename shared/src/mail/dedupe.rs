//! When two copies of a mail are the same mail.

use sha2::{Digest, Sha256};

/// Headers that the sender wrote. Others (Received, Return-Path, results of filters) differ from one delivery of a mail to the next.
const STABLE: &[&str] = &[
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "date",
    "subject",
    "in-reply-to",
    "references",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
];

/// What makes a mail unique in its mailbox: its Message-ID together with a hash of what its sender wrote. A Message-ID alone does
/// not do: forms and scanners give the same one to all of their mails.
pub fn dedupe_key(rfc_message_id: Option<&str>, raw: &[u8]) -> String {
    let hash = content_hash(raw);
    match id_key(rfc_message_id) {
        Some(id) => format!("{id}#{hash}"),
        None => format!("sha256:{hash}"),
    }
}

/// The key of records from before content counted: whatever has this Message-ID is that mail.
pub(super) fn id_key(rfc_message_id: Option<&str>) -> Option<String> {
    let id = rfc_message_id?.trim().trim_start_matches('<').trim_end_matches('>').trim();
    match id.len() {
        0 => None,
        1..=400 => Some(format!("id:{}", id.replace('\0', ""))),
        _ => Some(format!("id-sha256:{}", hex::encode(Sha256::digest(id.as_bytes())))),
    }
}

fn content_hash(raw: &[u8]) -> String {
    let mut hash = Sha256::new();
    let mut lines = raw.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let mut stable = Vec::new();
    let mut in_stable = false;
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        // A header goes on in lines that start with white space.
        if line.first().is_some_and(u8::is_ascii_whitespace) {
            if in_stable && let Some(last) = stable.last_mut() {
                let last: &mut Vec<u8> = last;
                last.push(b' ');
                last.extend_from_slice(line.trim_ascii());
            }
            continue;
        }
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
        in_stable = STABLE.iter().any(|stable| stable.as_bytes() == name);
        if in_stable {
            let value = line.get(name.len()..).unwrap_or_default();
            stable.push([name.as_slice(), value].concat());
        }
    }
    // Relays may sort headers.
    stable.sort();
    for header in stable {
        hash.update(header);
        hash.update(b"\n");
    }
    let body: Vec<&[u8]> = lines.collect();
    let used = body.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
    for line in &body[..used] {
        hash.update(b"\n");
        hash.update(line);
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &[u8] =
        b"Received: by mx1\r\nFrom: a@example.com\r\nSubject: Plates\r\n and bars\r\nX-Spam: 1\r\n\r\nTwo, please.\r\n";

    #[test]
    fn message_id_and_content_decide_together() {
        let again = b"Received: by mx2\r\nFrom: a@example.com\r\nSubject: Plates\r\n and bars\r\n\r\nTwo, please.\r\n";
        assert_eq!(dedupe_key(Some("<1@example.com>"), MAIL), dedupe_key(Some(" 1@example.com "), again));
        assert_ne!(dedupe_key(Some("<1@example.com>"), MAIL), dedupe_key(Some("<2@example.com>"), MAIL));
        assert_ne!(dedupe_key(Some("<1@example.com>"), MAIL), dedupe_key(Some("<1@example.com>"), b"other"));
        assert!(dedupe_key(Some(&"x".repeat(5_000)), MAIL).len() < 200);
        assert_eq!(id_key(Some(" <1@example.com> ")).as_deref(), Some("id:1@example.com"));
    }

    #[test]
    fn without_one_the_senders_words_decide() {
        let again =
            b"Subject: Plates\n and bars\nReceived: by mx2\n\tfrom mx1\nFrom: a@example.com\n\nTwo, please.\n\n";
        assert_eq!(dedupe_key(None, MAIL), dedupe_key(Some(" "), again));
        for other in ["Three, please.", "Two, please.\n\nThanks"] {
            let other = String::from_utf8_lossy(MAIL).replace("Two, please.", other);
            assert_ne!(dedupe_key(None, MAIL), dedupe_key(None, other.as_bytes()));
        }
        assert_ne!(dedupe_key(None, MAIL), dedupe_key(None, b""));
        assert_ne!(dedupe_key(None, b"From: a\n\n"), dedupe_key(None, b"From: b\n\n"));
    }
}
