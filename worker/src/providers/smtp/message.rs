//! The RFC 5322 form of a reply: threaded, marked as automatic, with at most one attachment.

use std::time::SystemTime;

use lettre::address::Address;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart, SinglePart};

/// What is to be sent. Every text is untrusted; line breaks cannot leave their field.
#[derive(Debug, Clone)]
pub struct Draft {
    pub from_name: Option<String>,
    pub from: String,
    pub to: String,
    pub subject: String,
    /// Ours and stable over all attempts, without angle brackets.
    pub message_id: String,
    /// Of the mail answered, without angle brackets.
    pub in_reply_to: Option<String>,
    /// Oldest first, without angle brackets.
    pub references: Vec<String>,
    pub date: SystemTime,
    pub text: String,
    pub attachment: Option<Attachment>,
}

/// A file that goes with the message.
#[derive(Debug, Clone)]
pub struct Attachment {
    pub name: String,
    pub media_type: &'static str,
    pub bytes: Vec<u8>,
}

/// Why a draft cannot become a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    #[error("the {field} is not a usable e-mail address")]
    Address { field: &'static str },
    #[error("the message cannot be written: {detail}")]
    Format { detail: String },
}

impl Draft {
    /// The bytes for the wire, with sender and recipient of the envelope.
    pub fn submission(self) -> Result<super::Submission, MessageError> {
        let from = address(&self.from, "sender")?;
        let to = address(&self.to, "recipient")?;
        let from_name = self.from_name.as_deref().map(line).filter(|name| !name.is_empty());
        let mut builder = Message::builder()
            .from(Mailbox::new(from_name, from.clone()))
            .to(Mailbox::new(None, to.clone()))
            .subject(line(&self.subject))
            .date(self.date)
            .message_id(Some(bracketed(&self.message_id)))
            .header(AutoSubmitted);
        if let Some(id) = &self.in_reply_to {
            builder = builder.in_reply_to(bracketed(id));
        }
        if !self.references.is_empty() {
            let ids: Vec<String> = self.references.iter().map(|id| bracketed(id)).collect();
            builder = builder.references(ids.join(" "));
        }
        let text = SinglePart::plain(self.text);
        let message = match self.attachment {
            None => builder.singlepart(text),
            Some(file) => builder.multipart(MultiPart::mixed().singlepart(text).singlepart(attached(file)?)),
        };
        let raw = message.map_err(|error| MessageError::Format { detail: error.to_string() })?.formatted();
        Ok(super::Submission { from, to, raw })
    }
}

fn attached(file: Attachment) -> Result<SinglePart, MessageError> {
    let media_type = ContentType::parse(file.media_type);
    let media_type = media_type.map_err(|error| MessageError::Format { detail: error.to_string() })?;
    Ok(lettre::message::Attachment::new(line(&file.name)).body(file.bytes, media_type))
}

fn address(text: &str, field: &'static str) -> Result<Address, MessageError> {
    text.parse().map_err(|_| MessageError::Address { field })
}

/// One line: control characters become spaces, so nothing can begin a header of its own.
fn line(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean.trim().chars().take(400).collect()
}

/// A message id in its brackets. Whatever is not visible ASCII, and any bracket of its own, is dropped.
fn bracketed(id: &str) -> String {
    let clean: String = id.chars().filter(|c| c.is_ascii_graphic() && !matches!(c, '<' | '>')).take(400).collect();
    format!("<{clean}>")
}

/// RFC 3834: tells other automata not to answer, which is what keeps two of them from mailing each other for ever.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-replied".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use mail_parser::{MessageParser, MimeHeaders};

    use super::{Attachment, Draft, MessageError};

    fn draft() -> Draft {
        Draft {
            from_name: Some("Tischlerei Müller".into()),
            from: "quotes@example.com".into(),
            to: "anna@example.org".into(),
            subject: "Re: Anfrage".into(),
            message_id: "q-1@postrider.example.com".into(),
            in_reply_to: Some("abc@example.org".into()),
            references: vec!["first@example.org".into(), "abc@example.org".into()],
            date: UNIX_EPOCH + Duration::from_hours(500_000),
            text: "Guten Tag,\n.\nein Punkt allein; Grüße".into(),
            attachment: Some(Attachment {
                name: "Angebot Größe.pdf".into(),
                media_type: "application/pdf",
                bytes: b"%PDF-1.7 \xff\x00".to_vec(),
            }),
        }
    }

    #[test]
    fn a_reply_is_threaded_marked_as_automatic_and_carries_its_file() {
        let submission = draft().submission().unwrap();
        assert!(submission.raw.is_ascii());
        let parsed = MessageParser::default().parse(&submission.raw).unwrap();
        assert_eq!(parsed.message_id(), Some("q-1@postrider.example.com"));
        assert_eq!(parsed.in_reply_to().as_text(), Some("abc@example.org"));
        let references = parsed.references().as_text_list().unwrap();
        assert_eq!(references, ["first@example.org", "abc@example.org"]);
        assert_eq!(parsed.header_raw("Auto-Submitted").map(str::trim), Some("auto-replied"));
        assert_eq!(parsed.from().unwrap().first().unwrap().name(), Some("Tischlerei Müller"));
        let file = parsed.attachment(0).unwrap();
        assert_eq!(file.attachment_name(), Some("Angebot Größe.pdf"));
        assert_eq!(file.contents(), b"%PDF-1.7 \xff\x00");
    }

    #[test]
    fn no_field_can_add_a_header_or_a_recipient() {
        let attack = "x\r\nBcc: victim@example.net\r\n\r\nbody";
        let hostile = Draft {
            subject: attack.into(),
            from_name: Some(attack.into()),
            in_reply_to: Some(attack.into()),
            references: vec![attack.into()],
            message_id: attack.into(),
            ..draft()
        };
        let submission = hostile.submission().unwrap();
        let parsed = MessageParser::default().parse(&submission.raw).unwrap();
        assert!(parsed.bcc().is_none());
        assert_eq!(parsed.to().unwrap().iter().count(), 1);
        let two = Draft { to: "a@example.org, b@example.org".into(), ..draft() };
        assert_eq!(two.submission().unwrap_err(), MessageError::Address { field: "recipient" });
        let broken = Draft { to: "a@example.org\r\nBcc: b@example.org".into(), ..draft() };
        assert_eq!(broken.submission().unwrap_err(), MessageError::Address { field: "recipient" });
    }
}
