//! Whom a job is for, as far as limits must know it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use sha2::{Digest, Sha256};

use crate::{error::QueueError, job::MAX_KEY_BYTES};

/// An opaque mark of the recipient of a job's message: 16 bytes of a hash, so that Redis keeps no address.
///
/// Limits that concern one recipient (a [rate](crate::ScopeLimits::recipient_rate), a cap of
/// [unique recipients](crate::CapUnit::UniqueRecipients)) go by it. Whoever rebuilds a scope must make it from the same text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecipientKey([u8; 16]);

impl RecipientKey {
    /// The mark of a recipient's address or number, in the form in which two of them are compared: 1 to 512 bytes.
    pub fn of(text: &str) -> Result<Self, QueueError> {
        if text.is_empty() || text.len() > MAX_KEY_BYTES {
            return Err(QueueError::invalid("recipient", format!("expected 1 to {MAX_KEY_BYTES} bytes")));
        }
        Self::from_bytes(&Sha256::digest(text.as_bytes())[..16])
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, QueueError> {
        bytes.try_into().map(Self).map_err(|_| QueueError::Corrupt("a recipient that has not 16 bytes".to_owned()))
    }
}

impl fmt::Display for RecipientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for RecipientKey {
    type Err = QueueError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match u128::from_str_radix(text, 16) {
            Ok(number) if text.len() == 32 && !text.starts_with('+') => Ok(Self(number.to_be_bytes())),
            _ => Err(QueueError::invalid("recipient", "expected 32 hexadecimal digits")),
        }
    }
}

impl Serialize for RecipientKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RecipientKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::RecipientKey;

    #[test]
    fn a_recipient_is_bounded_and_comes_back_from_text() {
        assert!(RecipientKey::of("").is_err());
        assert!(RecipientKey::of(&"x".repeat(10_000)).is_err());
        let key = RecipientKey::of("+49 30 901820").unwrap();
        assert_eq!(key.to_string().parse::<RecipientKey>().unwrap(), key);
        assert!("+1234567890123456789012345678901".parse::<RecipientKey>().is_err());
    }
}
