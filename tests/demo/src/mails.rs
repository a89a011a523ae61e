//! The sample mails, and their delivery into the sandbox's mailbox.

use std::{path::Path, time::SystemTime};

use mail_parser::MessageParser;
use serde_json::json;

use crate::http::{DemoError, Server};

/// A mail as it is delivered, and what must become of it.
#[derive(Debug, Clone)]
pub struct Sample {
    /// From 1, in the order of delivery.
    pub number: usize,
    pub subject: String,
    pub message_id: String,
    /// Whether it asks for a quote, so that a reply with a PDF must arrive; else no reply may be sent.
    pub wants_reply: bool,
    raw: Vec<u8>,
    /// The sandbox delivers the same key once.
    key: String,
}

/// All `*.eml` of the folder by name; one whose name says `newsletter` must get no reply. With `fresh`, each is a new
/// mail with a Message-ID of its own instead of the one that an earlier start delivered, from somebody else: who asks the same again
/// within days is answered once.
pub fn load(folder: &Path, fresh: bool) -> Result<Vec<Sample>, DemoError> {
    let failed =
        |error: std::io::Error| DemoError::File { path: folder.display().to_string(), error: error.to_string() };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|ending| ending == "eml") {
            paths.push(path);
        }
    }
    paths.sort();
    let mark = if fresh { format!("again-{}-", milliseconds()) } else { String::new() };
    paths.iter().enumerate().map(|(index, path)| sample(index + 1, path, &mark)).collect()
}

fn sample(number: usize, path: &Path, mark: &str) -> Result<Sample, DemoError> {
    let failed = |error: String| DemoError::File { path: path.display().to_string(), error };
    let mut raw = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let parsed = MessageParser::default().parse(&raw).ok_or_else(|| failed("is not a mail".to_owned()))?;
    let subject = parsed.subject().unwrap_or("(no subject)").to_owned();
    let mut message_id = parsed.message_id().ok_or_else(|| failed("has no Message-ID".to_owned()))?.to_owned();
    if !mark.is_empty() {
        let sender = parsed.from().and_then(|from| from.first()?.address());
        let sender = sender.ok_or_else(|| failed("has no sender".to_owned()))?.to_owned();
        let mut text = String::from_utf8_lossy(&raw).into_owned();
        for known in [&message_id, &sender] {
            text = text.replacen(&format!("<{known}>"), &format!("<{mark}{known}>"), 1);
        }
        raw = text.into_bytes();
        message_id = format!("{mark}{message_id}");
    }
    let wants_reply = !name.contains("newsletter");
    Ok(Sample { number, subject, message_id, wants_reply, raw, key: format!("{mark}{name}") })
}

/// Makes the mailbox in the sandbox; one that is there keeps its mail.
pub async fn open_mailbox(sandbox: &Server, address: &str, password: &str) -> Result<(), DemoError> {
    let body = json!({ "address": address, "password": password });
    sandbox.post("/control/mailboxes", &body, address).await.map(|_| ())
}

/// Lets a mail arrive, once.
pub async fn deliver(sandbox: &Server, address: &str, sample: &Sample) -> Result<(), DemoError> {
    let path = format!("/control/mailboxes/{address}/messages?key={}", sample.key);
    sandbox.post_bytes(&path, "message/rfc822", sample.raw.clone()).await.map(|_| ())
}

fn milliseconds() -> u128 {
    #[expect(clippy::disallowed_methods, reason = "only makes copies of the samples distinct")]
    let now = SystemTime::now();
    now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use mail_parser::MessageParser;

    use super::load;

    #[test]
    fn fresh_copies_are_other_mails_of_other_people() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/samples");
        let (first, again) = (load(&folder, false).unwrap(), load(&folder, true).unwrap());
        assert!(!first.is_empty() && first.len() == again.len());
        for (first, again) in first.iter().zip(&again) {
            let [one, other] = [first, again].map(|sample| MessageParser::default().parse(&sample.raw).unwrap());
            assert_ne!(
                one.from().unwrap().first().unwrap().address(),
                other.from().unwrap().first().unwrap().address()
            );
            assert_ne!(first.message_id, again.message_id);
            assert_eq!(other.message_id(), Some(again.message_id.as_str()));
            assert_eq!(one.body_text(0), other.body_text(0));
        }
    }
}
