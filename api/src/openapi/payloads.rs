//! The payload of each job kind, which only the catalogue knows: a submission's `kind` decides what its `payload` is.

use postrider_shared::jobs::{self, KindInfo, Submit};
use serde_json::{Value, json};

/// Adds each kind's payload schema, and to `Submission` one alternative per kind that can be submitted.
pub fn describe(document: &mut Value) {
    let schemas = &mut document["components"]["schemas"];
    for kind in jobs::catalogue() {
        schemas[name(kind)] = kind.schema.clone();
    }
    let submittable = jobs::catalogue().iter().filter(|kind| kind.submit != Submit::Never);
    schemas["Submission"]["oneOf"] = submittable.map(alternative).collect();
}

/// Component under which a kind's payload stands.
fn name(kind: &KindInfo) -> String {
    format!("payload.{}", kind.kind)
}

fn alternative(kind: &KindInfo) -> Value {
    let names: Vec<&str> = std::iter::once(kind.kind.as_str()).chain(kind.aliases.iter().copied()).collect();
    let mut properties = json!({
        "kind": { "enum": names },
        "payload": { "$ref": format!("#/components/schemas/{}", name(kind)) }
    });
    if !kind.chooses_lane {
        properties["queue"] = json!({ "type": "null" });
        properties["lane"] = json!({ "type": "null" });
    }
    let payload_matters = kind.schema["required"].as_array().is_some_and(|required| !required.is_empty());
    let required = if payload_matters { json!(["kind", "payload"]) } else { json!(["kind"]) };
    json!({ "description": kind.summary, "properties": properties, "required": required })
}
