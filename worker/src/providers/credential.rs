//! What proves to a mail server who logs in.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

/// A password, or a token that stands for one.
#[derive(Debug, Clone)]
pub enum Credential {
    /// Also an app password.
    Password(SecretString),
    /// An OAuth access token, for XOAUTH2.
    Bearer(SecretString),
}

impl From<SecretString> for Credential {
    fn from(password: SecretString) -> Self {
        Self::Password(password)
    }
}

impl From<&str> for Credential {
    fn from(password: &str) -> Self {
        Self::Password(password.into())
    }
}

/// The one answer of XOAUTH2. Whatever would end a field early is left out: a name cannot bring a token of its own.
pub(super) fn xoauth2(username: &str, token: &SecretString) -> String {
    let clean = |text: &str| text.chars().filter(|c| !c.is_control()).collect::<String>();
    format!("user={}\x01auth=Bearer {}\x01\x01", clean(username), clean(token.expose_secret()))
}

/// The same as it goes over the wire where the protocol's client does not encode it.
pub(super) fn xoauth2_encoded(username: &str, token: &SecretString) -> String {
    STANDARD.encode(xoauth2(username, token))
}

#[cfg(test)]
mod tests {
    use super::{xoauth2, xoauth2_encoded};

    #[test]
    fn the_answer_is_that_of_googles_example() {
        let encoded = xoauth2_encoded("someuser@example.com", &"ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg".into());
        assert_eq!(
            encoded,
            "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ=="
        );
    }

    #[test]
    fn a_name_cannot_add_a_field() {
        assert_eq!(xoauth2("a\x01auth=Bearer x\x01", &"t".into()), "user=aauth=Bearer x\x01auth=Bearer t\x01\x01");
    }
}
