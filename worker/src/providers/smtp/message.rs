//! The RFC 5322 form of a reply: threaded, marked as ours and, if no person saw it, as automatic, with at most one attachment.

use std::time::SystemTime;

use lettre::address::Address;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart, SinglePart};

use crate::mail::OWN_MARK;

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
    /// What it is called in the send ledger.
    pub ledger_id: String,
    /// Nobody looked at it before it went out.
    pub automatic: bool,
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
            .header(Own(line(&self.ledger_id)))
            .header(NoAutoResponse);
        if self.automatic {
            builder = builder.header(AutoSubmitted);
        }
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

/// A header of fixed form that is only ever written.
macro_rules! header {
    ($(#[$about:meta])* $kind:ident, $name:expr, |$own:ident| $value:expr) => {
        $(#[$about])*
        impl Header for $kind {
            fn name() -> HeaderName {
                HeaderName::new_from_ascii_str($name)
            }

            fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
                Err("it is only written".into())
            }

            fn display(&self) -> HeaderValue {
                let $own = self;
                HeaderValue::new(Self::name(), $value)
            }
        }
    };
}

/// RFC 3834: tells other automata not to answer, which is what keeps two of them from mailing each other for ever. Not on what a
/// person approved: many ticket systems put automatic mail away unread.
#[derive(Clone)]
struct AutoSubmitted;

header!(AutoSubmitted, "Auto-Submitted", |_own| "auto-replied".to_owned());

/// The same for Exchange, and for whatever a person approved: notes of absence help nobody. Not `All`, which would keep the reports
/// of mail that could not be delivered from us.
#[derive(Clone)]
struct NoAutoResponse;

header!(NoAutoResponse, "X-Auto-Response-Suppress", |_own| "OOF, AutoReply".to_owned());

/// Says that a mail is ours, also when it comes back under another sender or Message-ID.
#[derive(Clone)]
struct Own(String);

header!(Own, OWN_MARK, |own| own.0.clone());

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use mail_parser::{MessageParser, MimeHeaders};

    use super::{Attachment, Draft, MessageError, OWN_MARK};
    use crate::mail::{Author, Mail};

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
            ledger_id: "01975c5e-0000-7000-8000-000000000001".into(),
            automatic: true,
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
        assert_eq!(parsed.header_raw("X-Auto-Response-Suppress").map(str::trim), Some("OOF, AutoReply"));
        assert_eq!(parsed.header_raw(OWN_MARK).map(str::trim), Some("01975c5e-0000-7000-8000-000000000001"));
        assert_eq!(parsed.from().unwrap().first().unwrap().name(), Some("Tischlerei Müller"));
        let file = parsed.attachment(0).unwrap();
        assert_eq!(file.attachment_name(), Some("Angebot Größe.pdf"));
        assert_eq!(file.contents(), b"%PDF-1.7 \xff\x00");
    }

    #[test]
    fn what_a_person_approved_is_not_called_automatic_and_still_known_as_ours() {
        let submission = Draft { automatic: false, ..draft() }.submission().unwrap();
        let parsed = MessageParser::default().parse(&submission.raw).unwrap();
        assert_eq!(parsed.header_raw("Auto-Submitted"), None);
        assert!(parsed.header_raw("X-Auto-Response-Suppress").is_some());
        // Sent on by somebody's rule, under his own name and a new id.
        let back = String::from_utf8(submission.raw).unwrap();
        let back = back.replace("quotes@example.com", "rule@example.net").replace("q-1@postrider", "new@gateway");
        assert!(matches!(Mail::parse(back.as_bytes()).author("quotes@example.com"), Author::Machine(_)));
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
