//! The replies as the outside world got them: checked, and saved where a person can open them.

use std::path::{Path, PathBuf};

use mail_parser::{MessageParser, MimeHeaders};
use serde_json::Value;

use crate::{
    http::{DemoError, Server, text},
    mails::Sample,
};

/// Where reply and PDF of one mail are.
#[derive(Debug)]
pub struct Saved {
    pub reply: PathBuf,
    pub pdf: PathBuf,
    /// Number and total of the quote, such as `HL-1, 141.20 EUR`.
    pub quote: String,
}

/// Fetches an accepted reply from the sandbox, checks that it is threaded and carries a PDF, and saves both.
pub async fn save(
    sandbox: &Server,
    accepted: &Value,
    quote: &Value,
    sample: &Sample,
    folder: &Path,
) -> Result<Saved, DemoError> {
    let seq = &accepted["seq"];
    let raw = sandbox.bytes(&format!("/control/accepted/{seq}/raw")).await?;
    let wrong = |reason: &str| DemoError::Other(format!("the reply to mail {} {reason}", sample.number));
    let parsed = MessageParser::default().parse(&raw).ok_or_else(|| wrong("is not a mail"))?;
    let answers = parsed.in_reply_to().as_text().unwrap_or_default();
    if answers != sample.message_id {
        return Err(wrong("is not in the thread of the request (In-Reply-To)"));
    }
    let pdf = parsed
        .attachments()
        .find(|part| part.content_type().is_some_and(|kind| kind.subtype() == Some("pdf")))
        .ok_or_else(|| wrong("has no PDF"))?;
    if !pdf.contents().starts_with(b"%PDF-") {
        return Err(wrong("has an attachment that is no PDF"));
    }
    let number = match text(quote, "number") {
        "" => format!("mail-{}", sample.number),
        number => number.to_owned(),
    };
    let name: String = number.chars().map(|c| if c.is_alphanumeric() || c == '-' { c } else { '_' }).collect();
    let reply = folder.join(format!("{name}.eml"));
    let document = folder.join(format!("{name}.pdf"));
    write(&reply, &raw)?;
    write(&document, pdf.contents())?;
    let quote = format!("{number}, {} {}", text(quote, "total"), text(quote, "currency"));
    Ok(Saved { reply, pdf: document, quote })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), DemoError> {
    let failed = |error: std::io::Error| DemoError::File { path: path.display().to_string(), error: error.to_string() };
    std::fs::write(path, bytes).map_err(failed)
}
