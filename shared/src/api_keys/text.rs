use rand::Rng;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The prefix and secret of a key's text.
pub(super) struct KeyText {
    pub(super) prefix: String,
    secret: SecretString,
}

impl KeyText {
    pub(super) fn generate() -> Self {
        let mut prefix = [0; 6];
        let mut secret = [0; 32];
        rand::rng().fill_bytes(&mut prefix);
        rand::rng().fill_bytes(&mut secret);
        Self { prefix: hex::encode(prefix), secret: SecretString::from(hex::encode(secret)) }
    }

    /// `None` if it does not even look like a key.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (prefix, secret) = text.strip_prefix("pr_")?.split_once('_')?;
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        (prefix.len() == 12 && secret.len() == 64 && is_hex(prefix) && is_hex(secret))
            .then(|| Self { prefix: prefix.to_owned(), secret: SecretString::from(secret) })
    }

    pub(super) fn text(&self) -> SecretString {
        SecretString::from(format!("pr_{}_{}", self.prefix, self.secret.expose_secret()))
    }

    pub(super) fn hash(&self) -> String {
        hex::encode(Sha256::digest(self.secret.expose_secret().as_bytes()))
    }

    /// Takes the same time whether the first or the last character differs.
    pub(super) fn matches(&self, hash: &str) -> bool {
        self.hash().as_bytes().ct_eq(hash.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_matches_its_own_hash_only() {
        let key = KeyText::generate();
        let read = KeyText::parse(key.text().expose_secret()).unwrap();
        assert_eq!(read.prefix, key.prefix);
        assert!(read.matches(&key.hash()));
        assert!(!read.matches(&KeyText::generate().hash()));
        for wrong in ["", "pr_", "pr_abc_def", "Bearer x", &format!("pr_{}", "_".repeat(80))] {
            assert!(KeyText::parse(wrong).is_none(), "{wrong}");
        }
    }
}
