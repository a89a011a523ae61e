//! What every operation shares, written into the document once instead of at each handler.

use postrider_shared::roles::Permission;
use serde_json::{Map, Value, json};

use crate::auth::access::Access;
use crate::problem::{MEDIA_TYPE, ProblemType};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// What any operation under `/v1` may answer instead of doing what was asked. There is no `default`: an answer with a status that
/// stands neither here nor at the operation is a fault, and Schemathesis finds it.
const REFUSALS: [&str; 8] = ["400", "401", "403", "404", "409", "429", "500", "503"];
/// What one that reads a body may answer, besides.
const REFUSALS_OF_BODIES: [&str; 3] = ["413", "415", "422"];

/// Adds error answers, and the headers by which a caller names its tenant and its repeats.
pub fn complete(document: &mut Value) {
    document["info"]["version"] = json!(env!("CARGO_PKG_VERSION"));
    let problems: Vec<String> =
        ProblemType::ALL.iter().map(|problem| format!("/problems/{}", problem.entry().slug)).collect();
    document["components"]["schemas"]["Problem"]["properties"]["type"]["enum"] = json!(problems);
    document["components"]["responses"]["Problem"] = json!({
        "description": "The request was not done. `type` says why, `next` what to do.",
        "content": { MEDIA_TYPE: { "schema": { "$ref": "#/components/schemas/Problem" } } }
    });
    document["components"]["parameters"] = shared_parameters();
    let Some(paths) = document["paths"].as_object_mut() else {
        return;
    };
    for (path, item) in paths {
        let Some(item) = item.as_object_mut() else {
            continue;
        };
        for (method, operation) in item.iter_mut().filter(|(method, _)| METHODS.contains(&method.as_str())) {
            complete_operation(path, method, operation);
        }
    }
}

fn complete_operation(path: &str, method: &str, operation: &mut Value) {
    let access = Access::of(operation);
    let Some(operation) = operation.as_object_mut() else {
        return;
    };
    let mut refusals: Vec<&str> = if path.starts_with("/v1/") { REFUSALS.to_vec() } else { vec!["default"] };
    if path.starts_with("/v1/") && operation.contains_key("requestBody") {
        refusals.extend(REFUSALS_OF_BODIES);
    }
    let responses = operation.entry("responses").or_insert_with(|| json!({}));
    if let Some(responses) = responses.as_object_mut() {
        for status in refusals {
            responses.entry(status).or_insert_with(|| json!({ "$ref": "#/components/responses/Problem" }));
        }
    }
    if path.starts_with("/v1/") {
        if let Some(Access::Permission(permission)) = access {
            say_who_may(operation, permission);
            refer(operation, "Tenant");
            // What strangers send twice is done twice, and a key refused.
            if method == "post" {
                refer(operation, "IdempotencyKey");
            }
        }
        refer(operation, "RequestId");
    }
}

/// The document's readers see roles; the annotation names the permission only.
fn say_who_may(operation: &mut Map<String, Value>, permission: Permission) {
    operation.insert("x-postrider-permission".to_owned(), json!(permission));
    operation.insert("x-postrider-roles".to_owned(), json!(permission.roles()));
    let roles: Vec<String> = permission.roles().iter().map(|role| format!("`{role}`")).collect();
    let sentence = format!("Needs `{permission}`, which {} may.", roles.join(", "));
    let description = match operation.get("description").and_then(Value::as_str) {
        Some(text) if !text.is_empty() => format!("{text}\n\n{sentence}"),
        _ => sentence,
    };
    operation.insert("description".to_owned(), json!(description));
}

fn refer(operation: &mut Map<String, Value>, parameter: &str) {
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    if let Some(parameters) = parameters.as_array_mut() {
        parameters.push(json!({ "$ref": format!("#/components/parameters/{parameter}") }));
    }
}

fn shared_parameters() -> Value {
    json!({
        "Tenant": {
            "name": "Postrider-Tenant", "in": "header", "required": false,
            "description": "The tenant a platform key acts for. A tenant's own key needs none.",
            "schema": { "type": "string", "format": "uuid" }
        },
        "RequestId": {
            "name": "X-Request-Id", "in": "header", "required": false,
            "description": "Your name for this request: up to 128 letters, digits, `.`, `_`, `:` and `-`. It comes back in \
                the answer and stands in the log; anything else is replaced by a name of ours.",
            "schema": { "type": "string" }
        },
        "IdempotencyKey": {
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "A repeat with the same key and body gets the first answer, for at least 24 hours.",
            "schema": { "type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$" }
        }
    })
}
