//! The OpenAPI document: valid, complete, and about the same operations that are served.

use serde_json::Value;

use postrider_api::openapi::Document;

const META_SCHEMA: &str = include_str!("../data/openapi-3.1-schema.json");

fn document() -> Document {
    postrider_api::router::document().unwrap()
}

#[test]
fn it_is_valid_openapi_3_1() {
    let meta: Value = serde_json::from_str(META_SCHEMA).unwrap();
    let validator = jsonschema::validator_for(&meta).unwrap();
    let document = document();
    let errors: Vec<String> =
        validator.iter_errors(document.as_value()).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    assert_eq!(document.as_value()["openapi"], "3.1.0");
}

#[test]
fn its_schemas_are_valid_and_all_references_lead_somewhere() {
    let document = document();
    let value = document.as_value();
    for (name, schema) in value["components"]["schemas"].as_object().unwrap() {
        jsonschema::meta::validate(schema).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let mut references = Vec::new();
    collect(value, &mut references);
    assert!(references.len() > 50);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leads outside"));
        assert!(value.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

#[test]
fn each_kind_has_its_payload_in_it() {
    let document = document();
    let schemas = &document.as_value()["components"]["schemas"];
    for kind in postrider_shared::jobs::catalogue() {
        assert_eq!(schemas[format!("payload.{}", kind.kind)], kind.schema);
    }
}

#[test]
fn every_operation_is_described_and_has_its_own_name() {
    let document = document();
    let mut names = std::collections::HashSet::new();
    for (method, path, operation) in document.operations() {
        let name = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path} has no name"));
        assert!(names.insert(name.to_owned()), "{name} twice");
        assert!(operation["summary"].is_string(), "{method} {path}");
        let refusal = if path.starts_with("/v1/") { "401" } else { "default" };
        assert!(operation["responses"][refusal].is_object(), "{method} {path}");
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                references.push(reference.to_owned());
            }
            members.values().for_each(|member| collect(member, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
