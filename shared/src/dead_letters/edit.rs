//! Payloads that are corrected by a redrive.

use std::error::Error;

use postrider_queue::MAX_PAYLOAD_BYTES;
use serde_json::Value;

use crate::{ids::TenantId, jobs, payloads::PayloadReference};

/// What the jobs of many letters get as their payload.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// Each what it died with.
    AsItDied,
    /// All the same.
    Replaced(Vec<u8>),
    /// Each what it died with, changed by this JSON merge patch (RFC 7396).
    Patched(Value),
}

/// Why a letter's job cannot have a payload.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is not of the form of its kind, or cannot be patched.
    #[error("{0}")]
    Form(String),
    /// It is larger than what a redrive takes.
    #[error("the payload has {bytes} bytes; {} are allowed", MAX_PAYLOAD_BYTES)]
    TooLarge { bytes: usize },
}

/// The payload's bytes, if it fits the kind; one of a kind that this version does not know is only measured.
pub fn fitting(tenant: TenantId, kind: &str, payload: Value) -> Result<Vec<u8>, Unfit> {
    let form = |error: &dyn Error| Unfit::Form(error.to_string());
    let payload = match jobs::find(kind) {
        Some(kind) => kind.new_job(tenant.into(), payload).map_err(|error| form(&error))?.payload,
        None => serde_json::to_vec(&payload).map_err(|error| form(&error))?,
    };
    match payload.len() {
        0..=MAX_PAYLOAD_BYTES => Ok(payload),
        bytes => Err(Unfit::TooLarge { bytes }),
    }
}

/// [`fitting`], of a payload changed by a merge patch.
pub fn patched(tenant: TenantId, kind: &str, payload: &[u8], patch: &Value) -> Result<Vec<u8>, Unfit> {
    if PayloadReference::read(payload).is_some() {
        return Err(Unfit::Form("its payload is stored apart and cannot be patched".to_owned()));
    }
    let read = serde_json::from_slice(payload);
    let mut value: Value = read.map_err(|_| Unfit::Form("its payload is no JSON".to_owned()))?;
    merge(&mut value, patch);
    fitting(tenant, kind, value)
}

/// As RFC 7396 says: objects are merged, null removes a member, everything else replaces. A patch is no deeper than a request may be.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Some(members) = target.as_object_mut() else { return };
    for (name, change) in changes {
        if change.is_null() {
            members.remove(name);
        } else {
            merge(members.entry(name.as_str()).or_insert(Value::Null), change);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_examples_of_rfc_7396() {
        for (target, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut found = target.clone();
            merge(&mut found, &patch);
            assert_eq!(found, result, "{target} with {patch}");
        }
    }

    #[test]
    fn what_is_patched_must_fit_its_kind() {
        let tenant = TenantId::platform();
        let patch = |payload: &[u8], patch| patched(tenant, "diagnostic.sleep", payload, &patch);
        assert_eq!(patch(br#"{"ms":1}"#, json!({"ms": 2})).unwrap(), br#"{"ms":2}"#);
        assert!(patch(br#"{"ms":1}"#, json!({"ms": "soon"})).is_err());
        assert!(patch(br#"{"ms":1}"#, json!({"colour": 1})).is_err());
        assert!(patch(b"\xff", json!({"ms": 2})).unwrap_err().to_string().contains("no JSON"));
        let large = patched(tenant, "unheard_of", b"{}", &json!({"a": "x".repeat(MAX_PAYLOAD_BYTES)}));
        assert_eq!(large, Err(Unfit::TooLarge { bytes: MAX_PAYLOAD_BYTES + 8 }));
    }
}
