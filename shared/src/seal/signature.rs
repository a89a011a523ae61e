//! Signed tokens for links: what we gave out, and know again when somebody comes with it. HMAC-SHA256 under a key that is derived
//! from the ring's, so that signing and sealing share none.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{KeyRing, SealError};

const DERIVATION: &[u8] = b"postrider signed links 1";

/// Signs with one key of a ring.
#[derive(Clone)]
pub(super) struct Signer(Hmac<Sha256>);

impl Signer {
    pub(super) fn derived(secret: &[u8]) -> Result<Self, SealError> {
        let mut derivation = keyed(secret)?;
        derivation.update(DERIVATION);
        keyed(&derivation.finalize().into_bytes()).map(Self)
    }

    /// The one block of HKDF-Expand (RFC 5869) for a purpose.
    pub(super) fn expanded(&self, purpose: &str) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(purpose.as_bytes());
        mac.update(&[1]);
        mac.finalize().into_bytes().into()
    }

    fn over(&self, purpose: &str, data: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(&(purpose.len() as u64).to_be_bytes());
        mac.update(purpose.as_bytes());
        mac.update(data);
        mac
    }
}

fn keyed(key: &[u8]) -> Result<Hmac<Sha256>, SealError> {
    Hmac::new_from_slice(key).map_err(|_| SealError::Malformed)
}

impl KeyRing {
    /// A token that carries `data`, readable but unalterable, good for this purpose only. Letters, digits, `.`, `-` and `_`.
    pub fn sign(&self, purpose: &str, data: &[u8]) -> Result<String, SealError> {
        let key = self.0.first().ok_or(SealError::NoKeys)?;
        let mac = key.signer.over(purpose, data).finalize().into_bytes();
        Ok(format!("{}.{}.{}", key.id, URL_SAFE_NO_PAD.encode(data), URL_SAFE_NO_PAD.encode(mac)))
    }

    /// What a token carries, if a key of this ring signed it for this purpose.
    pub fn verified(&self, purpose: &str, token: &str) -> Result<Vec<u8>, SealError> {
        let mut parts = token.split('.');
        let (Some(id), Some(data), Some(mac), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(SealError::Malformed);
        };
        let key = self.0.iter().find(|key| key.id == id).ok_or_else(|| SealError::UnknownKey(id.to_owned()))?;
        let read = |text| URL_SAFE_NO_PAD.decode(text).map_err(|_| SealError::Malformed);
        let (data, mac) = (read(data)?, read(mac)?);
        key.signer.over(purpose, &data).verify_slice(&mac).map_err(|_| SealError::Refused)?;
        Ok(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "one:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const TWO: &str = "two:HxECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn a_token_is_good_for_its_purpose_and_its_key_only() {
        let ring = KeyRing::parse(ONE).unwrap();
        let token = ring.sign("decision", b"data").unwrap();
        assert_eq!(ring.verified("decision", &token).unwrap(), b"data");
        assert_eq!(ring.verified("other", &token), Err(SealError::Refused));
        let rotated = KeyRing::parse(&format!("{TWO},{ONE}")).unwrap();
        assert_eq!(rotated.verified("decision", &token).unwrap(), b"data", "an older key still opens");
        let other = KeyRing::parse(&TWO.replace("two:", "one:")).unwrap();
        assert_eq!(other.verified("decision", &token), Err(SealError::Refused));
        for at in 0..token.len() {
            let mut altered = token.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            assert!(ring.verified("decision", std::str::from_utf8(&altered).unwrap()).is_err(), "byte {at}");
        }
        for wrong in ["", "one", "one.x", "one..", "one.eA.eA", &token[..token.len() - 4], &format!("{token}.x")] {
            assert!(ring.verified("decision", wrong).is_err(), "{wrong}");
        }
    }
}
