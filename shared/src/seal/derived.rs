//! HMAC-SHA256 under a key of its own per purpose, HKDF-expanded (RFC 5869) from a key of the ring: what JWT calls HS256.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{KeyRing, SealError};

impl KeyRing {
    /// The id of the key that signs now.
    pub fn signing_key(&self) -> Result<&str, SealError> {
        self.0.first().map(|key| key.id.as_str()).ok_or(SealError::NoKeys)
    }

    /// The code over `data` under a key of the ring, for this purpose only.
    pub fn mac(&self, key: &str, purpose: &str, data: &[u8]) -> Result<Vec<u8>, SealError> {
        Ok(self.mac_over(key, purpose, data)?.finalize().into_bytes().to_vec())
    }

    /// Whether this is that code; in constant time.
    pub fn verify_mac(&self, key: &str, purpose: &str, data: &[u8], mac: &[u8]) -> Result<(), SealError> {
        self.mac_over(key, purpose, data)?.verify_slice(mac).map_err(|_| SealError::Refused)
    }

    fn mac_over(&self, key: &str, purpose: &str, data: &[u8]) -> Result<Hmac<Sha256>, SealError> {
        let found = self.0.iter().find(|known| known.id == key);
        let key = found.ok_or_else(|| SealError::UnknownKey(key.chars().take(32).collect()))?;
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&key.signer.expanded(purpose)).map_err(|_| SealError::Malformed)?;
        mac.update(data);
        Ok(mac)
    }
}
