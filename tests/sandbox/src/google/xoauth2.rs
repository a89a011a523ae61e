//! XOAUTH2, as the mail servers read it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Bearer;
use crate::office::Office;

/// User and token of `user=… ^A auth=Bearer … ^A ^A`, in base64.
pub(crate) fn read(response: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(response.trim()).ok()?).ok()?;
    let mut fields = text.strip_suffix("\u{1}\u{1}")?.split('\u{1}');
    let user = fields.next()?.strip_prefix("user=")?.to_owned();
    let token = fields.next()?.strip_prefix("auth=Bearer ")?.to_owned();
    fields.next().is_none().then_some((user, token))
}

/// Whether the token is good, and for this user's mailbox.
pub(crate) fn opens(office: &Office, user: &str, token: &str) -> bool {
    match office.google.bearer(token) {
        Bearer::Good { address } => address.eq_ignore_ascii_case(user),
        Bearer::Expired | Bearer::Unknown => false,
    }
}

/// Gmail's words to a token that is not good.
pub(crate) fn challenge() -> String {
    STANDARD.encode(r#"{"status":"400","schemes":"bearer","scope":"https://mail.google.com/"}"#)
}
