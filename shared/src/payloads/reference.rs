use std::fmt::Write as _;

use postrider_queue::Tenant;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ids::PayloadId;

/// Stands in the queue for a payload in the object store: `{"$payload":{"id":…,"size":…,"sha256":…}}`.
///
/// The file's place follows from the job's own tenant, so that nobody can name the file of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayloadReference {
    pub id: PayloadId,
    /// In bytes.
    pub size: u64,
    /// Of the content, in hexadecimal.
    pub sha256: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Marked {
    #[serde(rename = "$payload")]
    reference: PayloadReference,
}

/// How a reference begins, and no payload of the catalogue does: those have fields with names of their own.
const MARK: &[u8] = br#"{"$payload":"#;

impl PayloadReference {
    /// The reference to a new file of this content.
    pub(super) fn to(id: PayloadId, content: &[u8]) -> Self {
        Self { id, size: content.len() as u64, sha256: sha256(content) }
    }

    /// What a payload refers to; none if it is the payload itself.
    pub fn read(payload: &[u8]) -> Option<Self> {
        if !payload.starts_with(MARK) {
            return None;
        }
        serde_json::from_slice::<Marked>(payload).ok().map(|marked| marked.reference)
    }

    /// As the queue carries it.
    pub fn to_payload(&self) -> Vec<u8> {
        serde_json::to_vec(&Marked { reference: self.clone() })
            .unwrap_or_else(|_| unreachable!("texts and a number have a JSON form"))
    }

    /// Whether this is the content.
    pub fn fits(&self, content: &[u8]) -> bool {
        content.len() as u64 == self.size && sha256(content) == self.sha256
    }

    /// Where the file is.
    pub fn key(&self, tenant: &Tenant) -> String {
        key(tenant, self.id)
    }
}

pub(super) fn key(tenant: &Tenant, id: PayloadId) -> String {
    format!("{tenant}/payloads/{id}.json")
}

fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::PayloadReference;
    use crate::ids::PayloadId;

    #[test]
    fn a_reference_is_told_from_a_payload() {
        let reference = PayloadReference::to(PayloadId::random(), b"content");
        assert_eq!(PayloadReference::read(&reference.to_payload()), Some(reference.clone()));
        assert!(reference.fits(b"content") && !reference.fits(b"contend"));
        for payload in ["", "{}", r#"{"data":{"$payload":1}}"#, r#"{"$payload":1}"#, r#"{"$payload":{},"data":1}"#] {
            assert_eq!(PayloadReference::read(payload.as_bytes()), None, "{payload}");
        }
    }
}
