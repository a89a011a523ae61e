//! Job ids: 16 bytes that carry their shard, so that any id finds its record without a look-up.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::error::QueueError;

/// Crockford's base32: no I, L, O or U, so that an id can be read over the telephone.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const PREFIX: &str = "job_";
const TEXT_LEN: usize = 26;
/// What an id of a block begins with, after its shard. No other begins so, but for one of 4,000,000,000.
const BLOCK_MARK: [u8; 4] = [158, 55, 121, 177];

/// Identity of a job: 2 bytes of shard (big endian), then 14 bytes: random, derived, or of a block.
///
/// As text, and in JSON, `job_` and 26 characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId([u8; 16]);

impl JobId {
    /// A new id in a shard; 112 random bits, so two never meet.
    pub fn random(shard: u16) -> Self {
        Self::of(shard, rand::random())
    }

    /// An id of a block (lua/lib/block.lua): its mark, its number, and what is the job's own, a number and random bits.
    pub(crate) fn in_block(shard: u16, block: u32, number: u16, random: [u8; 4]) -> Self {
        let mut tail = [0; 14];
        tail[..4].copy_from_slice(&BLOCK_MARK);
        tail[4..8].copy_from_slice(&block.to_be_bytes());
        tail[8..10].copy_from_slice(&number.to_be_bytes());
        tail[10..].copy_from_slice(&random);
        Self::of(shard, tail)
    }

    /// The id that follows from what the job is. The same parts give the same id, whoever derives it, which is how
    /// a repeated enqueue finds that it was done already. Parts are delimited: `["a", "bc"]` and `["ab", "c"]` differ.
    pub fn derived(shard: u16, parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let mut tail = [0; 14];
        tail.copy_from_slice(&hash.finalize()[..14]);
        Self::of(shard, tail)
    }

    /// The shard whose keys hold this job.
    pub const fn shard(&self) -> u16 {
        u16::from_be_bytes([self.0[0], self.0[1]])
    }

    /// All 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The id of these 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(crate) fn of(shard: u16, tail: [u8; 14]) -> Self {
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&shard.to_be_bytes());
        bytes[2..].copy_from_slice(&tail);
        Self(bytes)
    }

    /// The id without its shard, as it stands in the keys of that shard.
    pub(crate) fn tail(&self) -> &[u8] {
        &self.0[2..]
    }

    /// Reads a tail as the scripts return it.
    pub(crate) fn from_tail(shard: u16, tail: &[u8]) -> Result<Self, QueueError> {
        let tail = tail.try_into().map_err(|_| QueueError::Corrupt(format!("a job id of {} bytes", tail.len())))?;
        Ok(Self::of(shard, tail))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = u128::from_be_bytes(self.0);
        let mut text = [0; TEXT_LEN];
        for (at, place) in text.iter_mut().enumerate() {
            let shift = 5 * (TEXT_LEN - 1 - at);
            *place = ALPHABET[((number >> shift) & 31) as usize];
        }
        f.write_str(PREFIX)?;
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for JobId {
    type Err = QueueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || QueueError::invalid("job id", "expected `job_` and 26 characters of Crockford base32");
        let digits = text.strip_prefix(PREFIX).ok_or_else(malformed)?;
        if digits.len() != TEXT_LEN {
            return Err(malformed());
        }
        let mut number: u128 = 0;
        for (at, byte) in digits.bytes().enumerate() {
            let byte = match byte.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                other => other,
            };
            let value = ALPHABET.iter().position(|c| *c == byte).ok_or_else(malformed)?;
            if at == 0 && value > 7 {
                return Err(malformed()); // 26 characters hold 130 bits; the top two must be clear
            }
            number = (number << 5) | value as u128;
        }
        Ok(Self(number.to_be_bytes()))
    }
}

impl Serialize for JobId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for JobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::JobId;

    #[test]
    fn text_and_bytes_agree() {
        let id = JobId::derived(7, &["redrive", "1"]);
        assert_eq!(id.shard(), 7);
        assert_eq!(id.to_string().len(), 30);
        assert_eq!(id.to_string().parse::<JobId>().unwrap(), id);
        assert_eq!(id.to_string().to_lowercase().parse::<JobId>().unwrap(), id);
        assert_ne!(JobId::derived(0, &["a", "bc"]), JobId::derived(0, &["ab", "c"]));
        for wrong in ["", "job_", "job_0", "job_ZZZZZZZZZZZZZZZZZZZZZZZZZZ", "x", "job_0000000000000000000000000é"] {
            assert!(wrong.parse::<JobId>().is_err(), "{wrong}");
        }
    }
}
