use rand::Rng;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// The text in an invitation's mail: 256 random bits.
pub(super) fn random() -> SecretString {
    let mut secret = [0; 32];
    rand::rng().fill_bytes(&mut secret);
    SecretString::from(format!("pri_{}", hex::encode(secret)))
}

/// What is kept of it to find it again.
pub(super) fn hash(token: &SecretString) -> String {
    hex::encode(Sha256::digest(token.expose_secret().as_bytes()))
}
