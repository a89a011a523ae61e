//! ENVELOPE: the parsed addresses and ids of a message's header.

use mail_parser::{Address, HeaderName, Message, MessageParser};

use super::text::{encoded_word, nstring};

/// The parenthesised envelope; an empty one for bytes that are no mail at all.
pub(super) fn envelope(raw: &[u8]) -> Vec<u8> {
    let message = MessageParser::new().parse_headers(raw).unwrap_or_default();
    let from = addresses(message.from());
    let or_from = |other: Option<&Address<'_>>| if other.is_some() { addresses(other) } else { from.clone() };
    let fields = [
        raw_field(&message, HeaderName::Date),
        raw_field(&message, HeaderName::Subject),
        from.clone(),
        or_from(message.sender()),
        or_from(message.reply_to()),
        addresses(message.to()),
        addresses(message.cc()),
        addresses(message.bcc()),
        raw_field(&message, HeaderName::InReplyTo),
        raw_field(&message, HeaderName::MessageId),
    ];
    [b"(".to_vec(), fields.join(&b' '), b")".to_vec()].concat()
}

/// The field as it stands in the header, unfolded.
fn raw_field(message: &Message<'_>, name: HeaderName<'static>) -> Vec<u8> {
    let text = message.header_raw(name).map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
    nstring(text.as_deref().map(str::as_bytes))
}

fn addresses(address: Option<&Address<'_>>) -> Vec<u8> {
    let Some(address) = address else { return b"NIL".to_vec() };
    let mut out = Vec::new();
    for one in address.iter() {
        let (user, host) = one.address().map_or(("", ""), |full| full.rsplit_once('@').unwrap_or((full, "")));
        out.push(b'(');
        out.extend(nstring(one.name().map(encoded_word).as_deref().map(str::as_bytes)));
        out.extend_from_slice(b" NIL ");
        out.extend(nstring(Some(user.as_bytes())));
        out.push(b' ');
        out.extend(nstring(Some(host.as_bytes())));
        out.push(b')');
    }
    if out.is_empty() { b"NIL".to_vec() } else { [b"(".to_vec(), out, b")".to_vec()].concat() }
}
