//! Sealing provider secrets: XChaCha20-Poly1305 under a ring of keys.
//!
//! A sealed text is bound to its place (table, column, row), so that it cannot be copied into another row and opened there. It names
//! the key it was sealed with; the ring's first key seals, every key opens. A rotation ([`Secrets`](crate::secrets::Secrets)) seals
//! with the first key again whatever another one sealed, in all [`SEALED_COLUMNS`].

mod columns;
mod derived;
mod signature;

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, KeyInit, Payload},
};
use rand::Rng;
use secrecy::{ExposeSecret, SecretString};

use self::signature::Signer;
pub use columns::{SEALED_COLUMNS, SealedColumn};

const NONCE_BYTES: usize = 24;
const FORMAT: &str = "s1";

/// Where a secret is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    pub table: &'a str,
    pub column: &'a str,
    pub row: &'a str,
}

/// Why something could not be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("this process was started without SECRET_KEYS")]
    NoKeys,
    #[error("a sealed value has an unknown form")]
    Malformed,
    #[error("{0} is not in the list of sealed columns (a defect of this version)")]
    Unlisted(String),
    #[error("a value is sealed with key `{0}`, which is not in SECRET_KEYS")]
    UnknownKey(String),
    #[error(
        "a sealed value does not open: it was altered, moved to another row, or sealed with another key of the same id"
    )]
    Refused,
}

/// The text of `SECRET_KEYS` is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    #[error("must hold at least one key as id:base64-of-32-bytes")]
    Empty,
    #[error("key number {0} must look like id:base64-of-32-bytes, the id made of letters, digits, - and _")]
    Form(usize),
    #[error("key `{0}` must be 32 bytes in base64; make one with: openssl rand -base64 32")]
    Length(String),
    #[error("key id `{0}` is used twice")]
    Twice(String),
}

/// The keys of an installation.
#[derive(Clone)]
pub struct KeyRing(Vec<Key>);

#[derive(Clone)]
struct Key {
    id: String,
    cipher: XChaCha20Poly1305,
    signer: Signer,
}

impl KeyRing {
    /// Reads `id:base64[,id2:base64…]`.
    pub fn parse(text: &str) -> Result<Self, KeyRingError> {
        let mut keys: Vec<Key> = Vec::new();
        for (index, part) in text.split(',').map(str::trim).filter(|part| !part.is_empty()).enumerate() {
            let (id, secret) = part.split_once(':').ok_or(KeyRingError::Form(index + 1))?;
            let well_formed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if id.is_empty() || id.len() > 32 || !id.chars().all(well_formed) {
                return Err(KeyRingError::Form(index + 1));
            }
            if keys.iter().any(|key| key.id == id) {
                return Err(KeyRingError::Twice(id.to_owned()));
            }
            let secret = STANDARD.decode(secret).map_err(|_| KeyRingError::Length(id.to_owned()))?;
            let cipher = XChaCha20Poly1305::new_from_slice(&secret).map_err(|_| KeyRingError::Length(id.to_owned()))?;
            let signer = Signer::derived(&secret).map_err(|_| KeyRingError::Length(id.to_owned()))?;
            keys.push(Key { id: id.to_owned(), cipher, signer });
        }
        if keys.is_empty() {
            return Err(KeyRingError::Empty);
        }
        Ok(Self(keys))
    }

    /// Seals a secret for its place.
    pub fn seal(&self, place: Place<'_>, secret: &SecretString) -> Result<String, SealError> {
        if !place.is_listed() {
            return Err(SealError::Unlisted(format!("{}.{}", place.table, place.column)));
        }
        let key = self.0.first().ok_or(SealError::Malformed)?;
        let mut nonce = [0; NONCE_BYTES];
        rand::rng().fill_bytes(&mut nonce);
        let aad = place.aad(&key.id);
        let payload = Payload { msg: secret.expose_secret().as_bytes(), aad: &aad };
        let sealed = key.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::Refused)?;
        Ok(format!("{FORMAT}:{}:{}", key.id, STANDARD.encode([nonce.as_slice(), &sealed].concat())))
    }

    /// Opens a secret in its place.
    pub fn open(&self, place: Place<'_>, sealed: &str) -> Result<SecretString, SealError> {
        let (id, body) = split(sealed)?;
        let key = self.0.iter().find(|key| key.id == id).ok_or_else(|| SealError::UnknownKey(id.to_owned()))?;
        let body = STANDARD.decode(body).map_err(|_| SealError::Malformed)?;
        let (nonce, sealed) = body.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Malformed)?;
        let aad = place.aad(id);
        let payload = Payload { msg: sealed, aad: &aad };
        let secret = key.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| SealError::Refused)?;
        String::from_utf8(secret).map(SecretString::from).map_err(|_| SealError::Malformed)
    }

    /// The id of the key that seals.
    pub fn sealing_key(&self) -> &str {
        self.0.first().map_or("", |key| &key.id)
    }

    /// The ids of all keys, in the ring's order.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| key.id.as_str())
    }

    /// Whether a value is sealed with the key that seals now; otherwise a rotation seals it again.
    pub fn is_current(&self, sealed: &str) -> bool {
        split(sealed).is_ok_and(|(id, _)| id == self.sealing_key())
    }

    /// What every value that is sealed with the key that seals now begins with.
    pub(crate) fn current_prefix(&self) -> String {
        format!("{FORMAT}:{}:", self.sealing_key())
    }
}

impl Place<'_> {
    fn aad(&self, key: &str) -> Vec<u8> {
        let mut aad = Vec::new();
        for part in [FORMAT, key, self.table, self.column, self.row] {
            aad.extend_from_slice(&(part.len() as u64).to_be_bytes());
            aad.extend_from_slice(part.as_bytes());
        }
        aad
    }
}

fn split(sealed: &str) -> Result<(&str, &str), SealError> {
    let mut parts = sealed.splitn(3, ':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(FORMAT), Some(id), Some(body)) => Ok((id, body)),
        _ => Err(SealError::Malformed),
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.id)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "old:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const NEW: &str = "new:HxECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const PLACE: Place<'_> = Place { table: "accounts", column: "password", row: "1" };

    fn secret() -> SecretString {
        SecretString::from("hunter2")
    }

    #[test]
    fn a_secret_opens_only_in_its_place() {
        let ring = KeyRing::parse(OLD).unwrap();
        let sealed = ring.seal(PLACE, &secret()).unwrap();
        assert!(!sealed.contains("hunter2"));
        assert_eq!(ring.open(PLACE, &sealed).unwrap().expose_secret(), "hunter2");
        assert_eq!(ring.open(Place { row: "2", ..PLACE }, &sealed).unwrap_err(), SealError::Refused);
        assert_ne!(sealed, ring.seal(PLACE, &secret()).unwrap(), "every sealing has its own nonce");
    }

    #[test]
    fn nothing_is_sealed_that_a_rotation_would_not_find() {
        let ring = KeyRing::parse(OLD).unwrap();
        let elsewhere = Place { column: "pin", ..PLACE };
        assert_eq!(ring.seal(elsewhere, &secret()), Err(SealError::Unlisted("accounts.pin".to_owned())));
    }

    #[test]
    fn a_rotated_ring_opens_old_values_and_knows_them() {
        let sealed = KeyRing::parse(OLD).unwrap().seal(PLACE, &secret()).unwrap();
        let rotated = KeyRing::parse(&format!("{NEW},{OLD}")).unwrap();
        assert_eq!(rotated.open(PLACE, &sealed).unwrap().expose_secret(), "hunter2");
        assert!(!rotated.is_current(&sealed));
        assert!(rotated.is_current(&rotated.seal(PLACE, &secret()).unwrap()));
        assert_eq!(
            KeyRing::parse(NEW).unwrap().open(PLACE, &sealed).unwrap_err(),
            SealError::UnknownKey("old".to_owned())
        );
    }

    #[test]
    fn wrong_keys_are_explained() {
        assert_eq!(KeyRing::parse(" ").unwrap_err(), KeyRingError::Empty);
        assert_eq!(KeyRing::parse("k1").unwrap_err(), KeyRingError::Form(1));
        assert_eq!(KeyRing::parse("k1:AAAA").unwrap_err(), KeyRingError::Length("k1".to_owned()));
        assert_eq!(KeyRing::parse(&format!("{OLD},{OLD}")).unwrap_err(), KeyRingError::Twice("old".to_owned()));
    }
}
