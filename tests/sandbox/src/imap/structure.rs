//! BODYSTRUCTURE, without the extension data beyond what mail clients need to find text and attachments.

use mail_parser::{ContentType, Message, MessageParser, MessagePart, MimeHeaders, PartType};

use super::envelope::envelope;
use super::text::{encoded_word, nstring, string};

pub(super) fn structure(raw: &[u8]) -> Vec<u8> {
    match MessageParser::new().parse(raw) {
        Some(message) if !message.parts.is_empty() => part(&message, 0, raw),
        _ => b"(\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 0 0)".to_vec(),
    }
}

fn part(message: &Message<'_>, id: usize, raw: &[u8]) -> Vec<u8> {
    let Some(one) = message.parts.get(id) else { return b"NIL".to_vec() };
    let kind = one.content_type();
    if let PartType::Multipart(children) = &one.body {
        let mut out = b"(".to_vec();
        for child in children {
            out.extend(part(message, *child as usize, raw));
        }
        out.push(b' ');
        out.extend(string(kind.and_then(ContentType::subtype).unwrap_or("MIXED").to_ascii_uppercase().as_bytes()));
        out.push(b')');
        return out;
    }
    let body = raw.get(one.offset_body as usize..one.offset_end as usize).unwrap_or_default();
    let lines = body.split(|byte| *byte == b'\n').count() - 1;
    let (main, sub) = match (kind, &one.body) {
        (_, PartType::Message(_)) => ("MESSAGE".to_owned(), "RFC822".to_owned()),
        (Some(kind), _) => {
            (kind.ctype().to_ascii_uppercase(), kind.subtype().unwrap_or("OCTET-STREAM").to_ascii_uppercase())
        }
        (None, _) => ("TEXT".to_owned(), "PLAIN".to_owned()),
    };
    let encoding = one.content_transfer_encoding().unwrap_or("7BIT").to_ascii_uppercase();
    let mut fields = vec![
        string(main.as_bytes()),
        string(sub.as_bytes()),
        parameters(kind),
        nstring(one.content_id().map(str::as_bytes)),
        nstring(one.content_description().map(str::as_bytes)),
        string(encoding.as_bytes()),
        body.len().to_string().into_bytes(),
    ];
    if let PartType::Message(_) = one.body {
        fields.push(envelope(body));
        fields.push(structure(body));
    }
    if main == "TEXT" || main == "MESSAGE" {
        fields.push(lines.to_string().into_bytes());
    }
    // MD5, then the disposition, by which clients tell an attachment.
    fields.push(b"NIL".to_vec());
    fields.push(disposition(one));
    [b"(".to_vec(), fields.join(&b' '), b")".to_vec()].concat()
}

fn parameters(kind: Option<&ContentType<'_>>) -> Vec<u8> {
    let Some(attributes) = kind.and_then(ContentType::attributes).filter(|attributes| !attributes.is_empty()) else {
        return b"NIL".to_vec();
    };
    let pairs: Vec<Vec<u8>> = attributes
        .iter()
        .flat_map(|attribute| {
            [string(attribute.name.to_ascii_uppercase().as_bytes()), string(encoded_word(&attribute.value).as_bytes())]
        })
        .collect();
    [b"(".to_vec(), pairs.join(&b' '), b")".to_vec()].concat()
}

fn disposition(part: &MessagePart<'_>) -> Vec<u8> {
    let Some(disposition) = part.content_disposition() else { return b"NIL".to_vec() };
    let kind = string(disposition.ctype().to_ascii_uppercase().as_bytes());
    [b"(".to_vec(), kind, b" ".to_vec(), parameters(Some(disposition)), b")".to_vec()].concat()
}
