use hmac::{Hmac, KeyInit, Mac};
use rand::Rng;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

const PREFIX: &str = "prs_";

/// The text that carries a session: 256 random bits.
pub(super) struct TokenText([u8; 32]);

impl TokenText {
    pub(super) fn random() -> Self {
        let mut secret = [0; 32];
        rand::rng().fill_bytes(&mut secret);
        Self(secret)
    }

    /// `None` if it does not even look like one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut secret = [0; 32];
        hex::decode_to_slice(text.strip_prefix(PREFIX)?, &mut secret).ok()?;
        Some(Self(secret))
    }

    /// The token that follows this one under a seed. Neither is enough alone: the seed stands in the database, which does not have
    /// the token, and a thief of the token does not have the seed.
    pub(super) fn successor(&self, seed: &str) -> Self {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            unreachable!("HMAC takes keys of any length")
        };
        mac.update(seed.as_bytes());
        Self(mac.finalize().into_bytes().into())
    }

    pub(super) fn text(&self) -> SecretString {
        SecretString::from(format!("{PREFIX}{}", hex::encode(self.0)))
    }

    /// What is kept of it. One round is enough for 256 random bits.
    pub(super) fn hash(&self) -> String {
        hashed(self.text().expose_secret())
    }
}

/// SHA-256 in hexadecimal digits.
pub(super) fn hashed(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// A new seed.
pub(super) fn seed() -> String {
    let mut seed = [0; 32];
    rand::rng().fill_bytes(&mut seed);
    hex::encode(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_its_text_and_has_one_successor_per_seed() {
        let token = TokenText::random();
        let again = TokenText::parse(token.text().expose_secret()).unwrap();
        assert_eq!(again.hash(), token.hash());
        assert_eq!(again.successor("a").hash(), token.successor("a").hash());
        assert_ne!(token.successor("a").hash(), token.successor("b").hash());
        for wrong in ["", "prs_", "prs_zz", "pr_00", &format!("prs_{}", "0".repeat(66))] {
            assert!(TokenText::parse(wrong).is_none(), "{wrong}");
        }
    }
}
