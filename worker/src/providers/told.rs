//! What a server was told in confidence, and may repeat in its words.
//!
//! Errors of providers travel far: into logs, the records of jobs, the histories of accounts, and to whoever asks for them. Some servers
//! say in them what they refuse, so their words are read without it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use reqwest::header::{AUTHORIZATION, HeaderMap};
use secrecy::{ExposeSecret, SecretString};

use super::credential::{Credential, xoauth2_encoded};

/// What stands in its place.
const HIDDEN: &str = "(secret)";
/// Shorter ones would be found in any text.
const SHORTEST: usize = 4;

/// Secrets in the forms in which a server may have seen them.
#[derive(Clone, Default)]
pub(super) struct Told(Vec<String>);

impl Told {
    pub(super) fn secrets<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut forms = Vec::new();
        for secret in secrets.into_iter().filter(|secret| secret.len() >= SHORTEST) {
            let form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            forms.extend([secret.to_owned(), form, STANDARD.encode(secret), URL_SAFE.encode(secret)]);
        }
        // The longest first: one may be within another.
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        forms.dedup();
        Self(forms)
    }

    pub(super) fn secret(secret: &SecretString) -> Self {
        Self::secrets([secret.expose_secret()])
    }

    /// As mail servers are told.
    pub(super) fn login(username: &str, credential: &Credential) -> Self {
        match credential {
            Credential::Password(password) => {
                let password = password.expose_secret();
                let mut told = Self::secrets([password]);
                told.0.insert(0, STANDARD.encode(format!("\0{username}\0{password}")));
                told
            }
            Credential::Bearer(token) => {
                let mut told = Self::secret(token);
                told.0.insert(0, xoauth2_encoded(username, token));
                told
            }
        }
    }

    /// As HTTP servers are told.
    pub(super) fn headers(headers: &HeaderMap) -> Self {
        let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Self::secrets([value.split_once(' ').map_or(value, |(_, secret)| secret)])
    }

    /// The words without what was told. They may have been cut before, in the middle of it.
    pub(super) fn hide(&self, words: &str) -> String {
        let mut words = words.to_owned();
        for form in &self.0 {
            if words.contains(form.as_str()) {
                words = words.replace(form.as_str(), HIDDEN);
            }
        }
        for form in &self.0 {
            let begun = form.char_indices().map(|(at, _)| &form[..at]).rev();
            if let Some(begun) = begun.take_while(|begun| begun.len() >= SHORTEST).find(|begun| words.ends_with(*begun))
            {
                words.truncate(words.len() - begun.len());
                words.push_str(HIDDEN);
                break;
            }
        }
        words
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Told")
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};

    use super::Told;
    use crate::providers::credential::Credential;

    #[test]
    fn a_password_is_hidden_in_each_form_that_a_mail_server_sees() {
        let told = Told::login("jo", &Credential::from("canary-password"));
        for (said, kept) in [
            ("LOGIN jo canary-password failed", "LOGIN jo (secret) failed"),
            // AUTH PLAIN, and AUTH LOGIN.
            ("535 AGpvAGNhbmFyeS1wYXNzd29yZA== is wrong", "535 (secret) is wrong"),
            ("535 Y2FuYXJ5LXBhc3N3b3Jk is wrong", "535 (secret) is wrong"),
            ("canary-password canary-password", "(secret) (secret)"),
            ("cut in the midst of canary-pass", "cut in the midst of (secret)"),
            ("canary birds sing", "canary birds sing"),
        ] {
            assert_eq!(told.hide(said), kept);
        }
    }

    #[test]
    fn tokens_are_hidden_as_they_are_and_within_an_answer() {
        let token = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg";
        let told = Told::login("someuser@example.com", &Credential::Bearer(token.into()));
        let encoded = "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ==";
        assert_eq!(told.hide(&format!("no {encoded} nor {token}")), "no (secret) nor (secret)");

        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer sk-canary/+"));
        let told = Told::headers(&headers);
        assert_eq!(
            told.hide("Incorrect API key: sk-canary/+, key=sk-canary%2F%2B"),
            "Incorrect API key: (secret), key=(secret)"
        );
    }

    #[test]
    fn nothing_told_hides_nothing() {
        for told in [Told::default(), Told::secrets([""]), Told::secrets(["abc"]), Told::headers(&HeaderMap::new())] {
            assert_eq!(told.hide("abc as it was"), "abc as it was");
        }
    }
}
