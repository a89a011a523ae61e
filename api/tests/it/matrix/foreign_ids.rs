//! Ids of another tenant's things inside queries and bodies, where the path names nothing.

use std::collections::BTreeSet;

use postrider_shared::roles::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::people::{Proof, person};
use super::recipes::{Subject, readable};
use super::tally::{Tally, sent};
use super::{picture, start};
use crate::api::{Api, answer};
use crate::operations::operations;

/// What may be given the id of something, and is not in the path: `operation.name`, a body's member after its whole path.
const PLACES: [&str; 19] = [
    "cancel_jobs body.batch_id",
    "discard_dead_letters body.group",
    "export_audit_events query.actor",
    "export_audit_events query.request_id",
    "export_audit_events query.subject",
    "list_audit_events query.actor",
    "list_audit_events query.request_id",
    "list_audit_events query.subject",
    "list_dead_letters query.group",
    "list_jobs query.batch_id",
    "list_messages query.account_id",
    "list_messages query.quote_id",
    "list_messages query.thread_id",
    "list_quotes query.account_id",
    "list_quotes query.thread_id",
    "open_batch body.on_end.batch_id",
    "redrive_dead_letters body.group",
    "submit_job body.batch_id",
    "submit_jobs body[].batch_id",
];

/// Members that hold an id by their name or by their form.
fn is_an_id(name: &str, schema: &Value) -> bool {
    let uuid = schema.to_string().contains("\"format\":\"uuid\"");
    uuid || name.ends_with("_id")
        || name.ends_with("_ids")
        || ["actor", "subject", "group", "ids", "id"].contains(&name)
}

/// All such places of the document.
fn places() -> BTreeSet<String> {
    let document = postrider_api::router::document().unwrap();
    let mut found = BTreeSet::new();
    for (_, path, operation) in document.operations().filter(|(_, path, _)| path.starts_with("/v1/")) {
        // What strangers are given to prove themselves is theirs: strangers.rs.
        if path.starts_with("/v1/auth/") {
            continue;
        }
        let id = operation["operationId"].as_str().unwrap();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap_or_default();
            if parameter["in"] == "query" && is_an_id(name, &parameter["schema"]) {
                found.insert(format!("{id} query.{name}"));
            }
        }
        let json = &operation["requestBody"]["content"]["application/json"]["schema"];
        walk(document.as_value(), json, &format!("{id} body"), &mut found, 0);
    }
    found
}

fn walk(document: &Value, schema: &Value, at: &str, found: &mut BTreeSet<String>, depth: usize) {
    if depth > 8 {
        return;
    }
    if let Some(name) = schema["$ref"].as_str() {
        let schema = &document["components"]["schemas"][name.rsplit('/').next().unwrap()];
        walk(document, schema, at, found, depth + 1);
    }
    for one in ["oneOf", "anyOf", "allOf"].iter().flat_map(|of| schema[of].as_array().into_iter().flatten()) {
        walk(document, one, at, found, depth + 1);
    }
    if schema["items"].is_object() {
        walk(document, &schema["items"], &format!("{at}[]"), found, depth + 1);
    }
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        // What a job is given is its kind's own affair.
        if name == "payload" {
            continue;
        }
        let at = format!("{at}.{name}");
        // A challenge is nothing without its code, and nobody's but its owner's: profiles.rs.
        if is_an_id(name, member) && name != "challenge" {
            found.insert(at.clone());
        }
        walk(document, member, &at, found, depth + 1);
    }
}

#[test]
fn every_place_for_an_id_is_known() {
    let known: BTreeSet<String> = PLACES.iter().map(ToString::to_string).collect();
    assert_eq!(places(), known, "add or remove the place here, and try it with another tenant's id below");
}

/// The owner's id that a place would take.
async fn owners(api: &Api, owner: &Subject, place: &str) -> String {
    let name = place.rsplit('.').next().unwrap();
    match name {
        "subject" => owner.id("quotes").to_owned(),
        "actor" | "request_id" => {
            let path = "/v1/audit-events?operation=create_product";
            let events = answer(api.get(&owner.keys.admin, path), StatusCode::OK).await;
            let member = if name == "actor" { "actor_id" } else { name };
            events["items"][0][member].as_str().unwrap().to_owned()
        }
        "group" => {
            let letters = answer(api.get(&owner.keys.admin, "/v1/dead-letters"), StatusCode::OK).await;
            letters["items"][0]["group"].as_str().unwrap().to_owned()
        }
        _ => {
            let resource =
                ["batch", "account", "quote", "thread"].iter().find(|noun| name.starts_with(**noun)).unwrap();
            let resource = if *resource == "batch" { "batches".to_owned() } else { format!("{resource}s") };
            owner.id(&resource).to_owned()
        }
    }
}

/// The call with the id in its place.
fn call(api: &Api, place: &str, id: &str) -> reqwest::RequestBuilder {
    let (operation, at) = place.split_once(' ').unwrap();
    let operation = operations().into_iter().find(|one| one.id == operation).unwrap();
    let query = at.strip_prefix("query.").map(|name| format!("?{name}={id}")).unwrap_or_default();
    let request = api.request(operation.method, &format!("{}{query}", operation.path));
    let echo = json!({ "kind": "diagnostic.echo", "batch_id": id });
    match at {
        "body.group" => request.json(&json!({ "group": id })),
        "body.batch_id" => request.json(&echo),
        "body[].batch_id" => request.json(&json!([echo])),
        "body.on_end.batch_id" => request.json(&json!({ "on_end": echo })),
        _ => {
            assert!(!query.is_empty(), "no recipe for {place}");
            request
        }
    }
}

#[tokio::test]
async fn another_tenants_ids_find_nothing_in_queries_and_bodies() {
    let api = start().await;
    let owner = readable(&api, "Canary owner").await;
    let foreign = api.tenant("Foreign").await;
    let abroad = person(&api, Some(&foreign.id), Role::TenantAdmin).await;
    let operations = operations();
    let submit = call(&api, "submit_job body.batch_id", owner.id("batches")).bearer_auth(&owner.keys.agent);
    answer(submit, StatusCode::ACCEPTED).await;
    let before = picture(&api, &owner, &operations).await;
    let mut tally = Tally::default();
    for place in PLACES {
        let id = owners(&api, &owner, place).await;
        for proof in abroad.proofs().into_iter().chain([Proof::Key(foreign.admin.clone())]) {
            tally.count(proof.name());
            let (status, body) = sent(proof.sign(call(&api, place, &id))).await;
            tally.must_not_show(proof.name(), place, &body);
            let found: Value = serde_json::from_str(&body).unwrap_or_default();
            let nothing = body.is_empty() || found["items"] == json!([]) || found["items"][0]["status"] == json!(409);
            // A selection is worked off by a job of the caller's own tenant.
            let is_selection = place.contains("dead_letters body") || place.starts_with("cancel_jobs body");
            let own_job = is_selection && status == StatusCode::ACCEPTED;
            if !(status.is_client_error() || (status.is_success() && nothing) || own_job) {
                tally.leak(format!("{place} as {}: {status} {body}", proof.name()));
            }
        }
        // The place does take the id, so that nothing but whose it is was to blame.
        let empty = place == "list_messages query.quote_id"; // its one message answers no quote
        if place.contains("query") && !empty {
            let (status, body) = sent(call(&api, place, &id).bearer_auth(&owner.keys.admin)).await;
            assert!(status.is_success() && body.contains(&id), "{place} of the owner: {status} {body}");
        }
    }
    let now = picture(&api, &owner, &operations).await;
    if now != before {
        tally.leak("a stranger changed something".to_owned());
    }
    println!("{}", tally.told(PLACES.len()));
    tally.must_be_clean();
}
