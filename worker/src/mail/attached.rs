//! The files that a mail carries. What mail programs add by themselves (signatures, invitations, logos of footers) is not
//! among them.

use mail_parser::{Message, MessageParser, MessagePart, MimeHeaders as _, PartType};

/// Attachments that are taken out of one mail; of further ones only the number is told, and some names.
pub const MOST_ATTACHMENTS: usize = 20;
const FURTHER_NAMES: usize = 10;
const NAME_CHARS: usize = 120;
/// A picture that is shown within the text and smaller than this is decoration.
const DECORATION_BYTES: usize = 50 * 1024;

/// The files of a mail.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attached {
    /// At most [`MOST_ATTACHMENTS`], in the mail's order, none twice.
    pub files: Vec<File>,
    /// How many more there are.
    pub further: usize,
    /// What the first ten of these are called.
    pub further_names: Vec<String>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Without folders and control characters; made up if the sender gives none.
    pub name: String,
    pub content: bytes::Bytes,
}

impl Attached {
    /// Takes the files out of a raw message.
    pub fn parse(raw: &[u8]) -> Self {
        let Some(message) = MessageParser::default().parse(raw) else { return Self::default() };
        let mut attached = Self::default();
        for part in parts(&message) {
            if attached.files.iter().any(|known| known.content == part.contents()) {
                continue;
            }
            let number = attached.files.len() + attached.further + 1;
            let name = name(part.attachment_name().unwrap_or_default());
            let name = if name.is_empty() { format!("attachment-{number}") } else { name };
            if attached.files.len() < MOST_ATTACHMENTS {
                attached.files.push(File { name, content: bytes::Bytes::copy_from_slice(part.contents()) });
                continue;
            }
            attached.further += 1;
            if attached.further_names.len() < FURTHER_NAMES {
                attached.further_names.push(name);
            }
        }
        attached
    }

    /// The same on a thread that may be kept busy.
    pub async fn parse_apart(raw: bytes::Bytes) -> Result<Self, super::CutOff> {
        super::apart(move || Self::parse(&raw)).await
    }
}

/// Whether the message carries any file.
pub(super) fn any(message: &Message<'_>) -> bool {
    parts(message).next().is_some()
}

fn parts<'a>(message: &'a Message<'a>) -> impl Iterator<Item = &'a MessagePart<'a>> {
    message.attachments().filter(|part| !is_by_the_way(part))
}

fn is_by_the_way(part: &MessagePart<'_>) -> bool {
    let (kind, subtype) = part
        .content_type()
        .map(|kind| (kind.ctype().to_ascii_lowercase(), kind.subtype().unwrap_or_default().to_ascii_lowercase()))
        .unwrap_or_default();
    if part.contents().is_empty() && !matches!(part.body, PartType::Message(_)) {
        return true;
    }
    let shown_within =
        part.content_id().is_some() || part.content_disposition().is_some_and(mail_parser::ContentType::is_inline);
    match (kind.as_str(), subtype.as_str()) {
        ("application", "pkcs7-signature" | "x-pkcs7-signature" | "pgp-signature" | "ics" | "pgp-keys")
        | ("text", "calendar" | "vcard" | "x-vcard" | "directory" | "rfc822-headers")
        | ("message", "delivery-status" | "disposition-notification") => true,
        ("image", _) => shown_within && part.contents().len() < DECORATION_BYTES,
        // The text of the mail in another form, or a footer that a mailing list adds.
        ("text", _) => {
            part.attachment_name().is_none() && part.content_disposition().is_none_or(|how| !how.is_attachment())
        }
        _ => false,
    }
}

/// The last part of a path of any system, in one line.
fn name(stated: &str) -> String {
    let last = stated.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean = super::line(last);
    let visible = clean.chars().filter(
        |c| !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'),
    );
    let name: Vec<char> = visible.collect();
    // A long name is cut in front, since its end says what it is.
    let name: String = name[name.len().saturating_sub(NAME_CHARS)..].iter().collect();
    name.trim().trim_start_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Attached, MOST_ATTACHMENTS, name};

    fn mail(parts: &[String]) -> Vec<u8> {
        let parts = parts.join("\r\n--b\r\n");
        format!("From: a@b.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{parts}\r\n--b--\r\n")
            .into_bytes()
    }

    fn file(name: &str, content: &str) -> String {
        format!(
            "Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\"{name}\"\r\n\r\n{content}"
        )
    }

    #[test]
    fn names_lose_folders_and_tricks() {
        assert_eq!(name("../../etc/passwd"), "passwd");
        assert_eq!(name(r"C:\Users\x\order.csv"), "order.csv");
        assert_eq!(name("order\u{202e}fdp.exe\r\nX: y"), "orderfdp.exe  X: y");
        assert_eq!(name("...hidden"), "hidden");
        assert_eq!(name(&"x".repeat(500)).len(), 120);
    }

    #[test]
    fn a_file_is_taken_once_and_the_rest_is_counted() {
        let text = "Content-Type: text/plain\r\n\r\nHello".to_owned();
        let twice = mail(&[text.clone(), file("a.csv", "1;2"), file("b.csv", "1;2")]);
        let attached = Attached::parse(&twice);
        assert_eq!(attached.files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["a.csv"]);
        let many: Vec<String> = (0..500).map(|at| file(&format!("{at}.csv"), &format!("{at};1"))).collect();
        let attached = Attached::parse(&mail(&many));
        assert_eq!((attached.files.len(), attached.further), (MOST_ATTACHMENTS, 480));
        let named: Vec<String> = (20..30).map(|at| format!("{at}.csv")).collect();
        assert_eq!(attached.further_names, named);
    }

    #[test]
    fn signatures_and_logos_are_no_files() {
        let logo = "Content-Type: image/png\r\nContent-ID: <logo>\r\nContent-Disposition: inline\r\n\r\nPNG".to_owned();
        let signature = "Content-Type: application/pgp-signature; name=signature.asc\r\n\r\n---".to_owned();
        let text = "Content-Type: text/plain\r\n\r\nHello".to_owned();
        assert_eq!(Attached::parse(&mail(&[text, logo, signature])), Attached::default());
        assert_eq!(Attached::parse(b"not a mail at all"), Attached::default());
    }
}
