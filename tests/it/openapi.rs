//! `/openapi.json` is a valid OpenAPI 3.1 document and describes what is really served.

use std::collections::HashSet;

use postrider_tests::{Api, DatabaseKind, Platform};
use serde_json::{Value, json};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

#[tokio::test]
async fn the_document_is_valid_and_complete() {
    let platform = Platform::start().await;
    let anybody = Api::new(platform.api().base());
    let document = anybody.get("/openapi.json").await.expect_status(200).body;

    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."), "{}", document["openapi"]);
    for field in ["title", "version"] {
        assert!(document["info"][field].as_str().is_some_and(|text| !text.is_empty()), "info.{field}");
    }
    references_resolve(&document, &document, "#");
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        if let Err(error) = jsonschema::draft202012::meta::validate(schema) {
            panic!("schema {name}: {error}");
        }
    }
    let mut ids = HashSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in METHODS {
            if let Some(operation) = operations.get(method) {
                operation_is_complete(&document, &format!("{method} {path}"), path, operation);
                let id = operation["operationId"].as_str().unwrap().to_owned();
                assert!(ids.insert(id.clone()), "operationId {id} is used twice");
            }
        }
    }
    assert!(ids.len() > 20, "only {} operations", ids.len());
    every_operation_is_served_and_needs_a_key(&anybody, &document).await;
    platform.finish().await;
}

fn operation_is_complete(document: &Value, name: &str, path: &str, operation: &Value) {
    assert!(operation["operationId"].is_string(), "{name} has no operationId");
    assert!(operation["summary"].is_string(), "{name} has no summary");
    let responses = operation["responses"].as_object().unwrap_or_else(|| panic!("{name} has no responses"));
    assert!(responses.keys().any(|status| status.starts_with('2')), "{name} has no success");
    for (status, response) in responses {
        let response = resolved(document, response);
        assert!(response["description"].is_string(), "{name} {status} has no description");
    }
    let parameters: Vec<&Value> =
        operation["parameters"].as_array().into_iter().flatten().map(|one| resolved(document, one)).collect();
    for named in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
        let declared = |one: &&Value| one["name"] == named && one["in"] == "path" && one["required"] == true;
        assert!(parameters.iter().any(declared), "{name} does not declare {{{named}}}");
    }
}

/// Follows a `$ref`, if it is one.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null),
        None => value,
    }
}

fn references_resolve(document: &Value, value: &Value, at: &str) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{at}: {reference} is elsewhere"));
                assert!(document.pointer(pointer).is_some(), "{at}: {reference} does not exist");
            }
            fields.iter().for_each(|(name, field)| references_resolve(document, field, &format!("{at}/{name}")));
        }
        Value::Array(items) => items.iter().for_each(|item| references_resolve(document, item, at)),
        _ => {}
    }
}

/// Without a key, each operation under `/v1` answers 401: so the path exists, and it is not open by mistake. Those marked as open are left out.
async fn every_operation_is_served_and_needs_a_key(anybody: &Api, document: &Value) {
    for (path, operations) in document["paths"].as_object().unwrap() {
        if !path.starts_with("/v1/") {
            continue;
        }
        let concrete = path.replace("{id}", "00000000-0000-7000-8000-000000000000");
        let concrete = concrete.replace(['{', '}'], "");
        let closed = |method: &&str| operations.get(*method).is_some_and(|one| one["security"] != json!([{}]));
        for method in METHODS.into_iter().filter(closed) {
            let method = method.to_uppercase().parse().unwrap();
            let answer = postrider_tests::client::Answer::of(anybody.request(method, &concrete)).await;
            assert_eq!(answer.status, 401, "{path}: {answer:#?}");
        }
    }
}

#[tokio::test]
async fn the_pages_beside_v1_are_there() {
    let platform = Platform::start().await;
    let anybody = Api::new(platform.api().base());
    anybody.get("/healthz").await.expect_status(200);
    let ready = anybody.get("/readyz").await.expect_status(200).body.to_string();
    assert!(ready.contains("redis") && ready.contains("database"), "{ready}");
    let metrics = anybody.get("/metrics").await.expect_status(200).body;
    assert!(metrics.as_str().is_some_and(|text| text.contains("# TYPE")), "{metrics}");
    let docs = anybody.get("/docs/").await.expect_status(200).body.to_string();
    assert!(docs.contains("<html") || docs.contains("<!DOCTYPE"), "{docs}");
    anybody.get("/v2/nothing").await.problem(404, "no-such-path");
    platform.finish().await;
}

#[tokio::test]
async fn metrics_tell_how_full_the_queues_are() {
    let platform = Platform::with(DatabaseKind::Sqlite).workers(0).start().await;
    let api = platform.tenant("Counters").await;
    for number in 0..3 {
        api.submit("diagnostic.echo", &json!({ "data": number })).await;
    }
    let anybody = Api::new(platform.api().base());
    let text = anybody.get("/metrics").await.expect_status(200).body;
    let text = text.as_str().unwrap();
    let waiting = "postrider_queue_jobs{component=\"api\",queue=\"diagnostics\",state=\"available\"} 3";
    for line in [waiting, "postrider_queue_figures_up{component=\"api\"} 1", "postrider_queue_oldest_age_seconds{"] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(text.contains("postrider_queue_script_seconds_bucket{component=\"api\",script=\"enqueue"), "{text}");
    platform.abandon("nobody works here");
}

#[tokio::test]
async fn readiness_names_what_is_down_under_kill() {
    let platform = Platform::start().await;
    let anybody = Api::new(platform.api().base());
    platform.redis().kill();
    let sick = postrider_tests::eventually("readyz to notice", || async {
        let answer = anybody.get("/readyz").await;
        (answer.status == 503).then_some(answer.body.to_string())
    })
    .await;
    assert!(sick.contains("redis"), "{sick}");
    anybody.get("/healthz").await.expect_status(200);
    platform.redis().restart().await;
    postrider_tests::eventually("readyz to recover", || async {
        (anybody.get("/readyz").await.status == 200).then_some(())
    })
    .await;
    platform.finish().await;
}
