//! XOAUTH2 over IMAP.

use async_imap::Authenticator;
use secrecy::SecretString;

use crate::providers::credential::xoauth2;

/// The token once; to everything after that an empty line. A server that refuses the token sends its reason as a challenge and
/// says NO only after that line: without it the conversation hangs.
pub(super) struct Answers(Option<String>);

impl Answers {
    pub(super) fn new(username: &str, token: &SecretString) -> Self {
        Self(Some(xoauth2(username, token)))
    }
}

impl Authenticator for Answers {
    type Response = String;

    fn process(&mut self, _challenge: &[u8]) -> String {
        self.0.take().unwrap_or_default()
    }
}
