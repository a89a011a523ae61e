//! Secrets that tests bring into the product, and the look for them in what it writes.
//!
//! Those of the harness are constants; what the product itself makes up, such as keys and tokens, is planted when it is shown. At the end
//! of every test [`Platform::finish`](crate::Platform::finish) looks for them all.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// The password of the harness's mailboxes.
pub const MAILBOX_PASSWORD: &str = "correct horse battery staple";
/// What people in tests sign in with; it begins like that of their mailboxes.
pub const PERSONS_PASSWORD: &str = "correct horse battery of a person";
/// The key that seals columns, in base64.
pub const SEAL_KEY: &str = "dGVzdHMgc2VhbCB3aXRoIHRoaXMga2V5LCBubyBvbmU=";
/// The model's key.
pub const MODEL_KEY: &str = "sk-canary-of-the-model";
/// The secret of our OAuth client at Google.
pub const OAUTH_CLIENT: &str = "canary-of-the-oauth-client";

/// What is a secret in every test; of the sandbox's codes and tokens the beginnings.
const ALWAYS: [&str; 9] = [
    "correct horse battery",
    "dGVzdHMgc2VhbCB3aXRoIHRoaXMga2V5LCBubyBvbmU",
    "tests seal with this key",
    MODEL_KEY,
    OAUTH_CLIENT,
    "ya29.canary",
    "1//canary",
    "4/canary",
    "4%2Fcanary",
];
/// Shorter ones would be found by chance.
const SHORTEST: usize = 12;

static PLANTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// From now on this stands nowhere.
pub fn plant(secret: &str) {
    if secret.len() >= SHORTEST {
        PLANTED.lock().unwrap_or_else(PoisonError::into_inner).insert(secret.to_owned());
    }
}

/// It was none: for tests of the look itself.
pub fn forget(secret: &str) {
    PLANTED.lock().unwrap_or_else(PoisonError::into_inner).remove(secret);
}

/// Plants the keys and tokens that an answer shows.
pub fn plant_shown(answer: &Value) {
    for name in ["access_token", "refresh_token"] {
        plant(answer[name].as_str().unwrap_or_default());
    }
    if let Some(key) = answer["key"].as_str().filter(|key| key.starts_with("pr_")) {
        plant(key);
    }
}

/// All secrets in the forms in which they could be told: as they are, and within base64 at each of its three places.
pub fn forms() -> Vec<String> {
    let planted = PLANTED.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let secrets = ALWAYS.iter().map(ToString::to_string).chain(planted);
    let mut forms = Vec::new();
    for secret in secrets {
        for shift in 0..3_usize {
            let bytes = [vec![b'x'; shift], secret.clone().into_bytes()].concat();
            let encoded = STANDARD.encode(&bytes);
            // Characters that hold bits of nothing but the secret.
            let (from, to) = ((shift * 8).div_ceil(6), bytes.len() * 8 / 6);
            forms.push(encoded[from..to].to_owned());
        }
        forms.push(secret);
    }
    forms.sort();
    forms.dedup();
    forms
}

/// The line, or what is told of it, in which a secret stands.
pub fn told<'a>(text: &'a str, forms: &[String]) -> Option<&'a str> {
    let at = forms.iter().filter_map(|form| text.find(form.as_str())).min()?;
    let (from, to) =
        (text[..at].rfind('\n').map_or(0, |line| line + 1), text[at..].find('\n').map_or(text.len(), |line| at + line));
    let from = text.floor_char_boundary(from.max(at.saturating_sub(400)));
    Some(&text[from..text.floor_char_boundary(to.min(at + 200))])
}

/// # Panics
/// When the text has a secret in it.
#[track_caller]
pub fn must_not_tell(what: &str, text: &str) {
    if let Some(line) = told(text, &forms()) {
        panic!("{what} tells a secret: {line}");
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::{forms, told};

    #[test]
    fn a_secret_is_found_as_it_is_and_within_base64() {
        let forms = forms();
        for prefix in ["", "\0a\0", "\0ab\0", "\0abc\0"] {
            let clear = format!("{prefix}{} and more", super::MAILBOX_PASSWORD);
            assert!(told(&clear, &forms).is_some(), "{clear:?}");
            let encoded = format!("first line\nAUTH PLAIN {}\nlast line", STANDARD.encode(&clear));
            let line = told(&encoded, &forms).expect("base64");
            assert!(line.starts_with("AUTH PLAIN ") && !line.contains("last"), "{line}");
        }
        assert_eq!(told("correct battery, horse staple", &forms), None);
    }
}
