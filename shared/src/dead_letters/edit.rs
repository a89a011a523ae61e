//! Payloads that are corrected by a redrive.

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

/// A payload changed by a merge patch, if the result fits its kind; or why it does not.
pub fn patched(tenant: TenantId, kind: &str, payload: &[u8], patch: &Value) -> Result<Vec<u8>, String> {
    if PayloadReference::read(payload).is_some() {
        return Err("its payload is stored apart and cannot be patched".to_owned());
    }
    let mut value: Value = serde_json::from_slice(payload).map_err(|_| "its payload is no JSON".to_owned())?;
    merge(&mut value, patch);
    let bytes = match jobs::find(kind) {
        Some(kind) => kind.new_job(tenant.into(), value).map_err(|error| error.to_string())?.payload,
        // A kind that this version does not know cannot be checked.
        None => serde_json::to_vec(&value).map_err(|error| error.to_string())?,
    };
    match bytes.len() {
        0..=MAX_PAYLOAD_BYTES => Ok(bytes),
        many => Err(format!("the patched payload has {many} bytes; {MAX_PAYLOAD_BYTES} are allowed")),
    }
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
        assert!(patch(b"\xff", json!({"ms": 2})).unwrap_err().contains("no JSON"));
        assert!(patched(tenant, "unheard_of", b"{}", &json!({"a": "x".repeat(MAX_PAYLOAD_BYTES)})).is_err());
    }
}
