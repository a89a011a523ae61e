//! What a key may do, and how it ends.

use std::time::Duration;

use postrider_shared::clock::Clock;
use postrider_shared::config::Registration;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::api::{Api, answer, problem};
use crate::wait::until;

fn text(issued: &Value) -> String {
    issued["key"].as_str().unwrap().to_owned()
}

fn path(issued: &Value) -> String {
    format!("/v1/api-keys/{}", issued["id"].as_str().unwrap())
}

async fn made(request: RequestBuilder) -> Value {
    answer(request, StatusCode::CREATED).await
}

#[tokio::test]
async fn a_narrowed_key_does_what_its_scopes_say_and_gives_no_more_away() {
    let api = Api::start().await;
    let keys = api.tenant("Narrow").await;
    let issue = |key: &str, body: Value| api.post(key, "/v1/api-keys", &body);
    let scopes = json!(["keys:write", "keys:read", "jobs:read"]);
    let narrow = made(issue(&keys.admin, json!({ "name": "n", "role": "tenant_admin", "scopes": scopes }))).await;
    assert_eq!(narrow["scopes"], json!(["jobs:read", "keys:read", "keys:write"]));
    let narrow = text(&narrow);
    answer(api.get(&narrow, "/v1/jobs"), StatusCode::OK).await;
    let refused = problem(api.post(&narrow, "/v1/jobs", &json!({ "kind": "diagnostic.echo" })), "forbidden").await;
    assert!(refused["detail"].as_str().unwrap().contains("jobs:write"), "{refused}");
    problem(api.get(&narrow, "/v1/products"), "forbidden").await;

    // It makes keys, but none that may do what it may not, and it learns no text of one that may.
    for wider in [
        json!({ "name": "x", "role": "viewer" }),
        json!({ "name": "x", "role": "agent", "scopes": ["jobs:read", "jobs:write"] }),
    ] {
        problem(issue(&narrow, wider), "forbidden").await;
    }
    let child = json!({ "name": "x", "role": "viewer", "scopes": ["jobs:read"] });
    let child = made(issue(&narrow, child)).await;
    answer(api.get(&text(&child), "/v1/jobs"), StatusCode::OK).await;
    let agent = made(issue(&keys.admin, json!({ "name": "a", "role": "agent" }))).await;
    problem(api.post(&narrow, &format!("{}/rotate", path(&agent)), &json!({})), "forbidden").await;
    let longer = api.request(Method::PATCH, &path(&agent)).bearer_auth(&narrow).json(&json!({ "expires_at": null }));
    problem(longer, "forbidden").await;

    for wrong in [json!([]), json!(["keys:write"]), json!(["jobs:fly"]), json!("jobs:read")] {
        problem(issue(&keys.admin, json!({ "name": "x", "role": "agent", "scopes": wrong })), "invalid-body").await;
    }
}

#[tokio::test]
async fn a_rotated_key_opens_with_both_texts_until_the_overlap_ends() {
    let api = Api::start().await;
    let keys = api.tenant("Turning").await;
    let first = made(api.post(&keys.admin, "/v1/api-keys", &json!({ "name": "k", "role": "viewer" }))).await;
    let rotate = |body: Value| api.post(&keys.admin, &format!("{}/rotate", path(&first)), &body);
    let second = answer(rotate(json!({ "overlap_seconds": 3600 })), StatusCode::OK).await;
    assert_eq!(second["id"], first["id"]);
    assert!(second["previous_until"].is_string());
    for both in [&first, &second] {
        answer(api.get(&text(both), "/v1/jobs"), StatusCode::OK).await;
    }
    let third = answer(rotate(json!({ "overlap_seconds": 0 })), StatusCode::OK).await;
    assert_eq!(third["previous_until"], Value::Null);
    for gone in [&first, &second] {
        problem(api.get(&text(gone), "/v1/jobs"), "unauthenticated").await;
    }
    answer(api.get(&text(&third), "/v1/jobs"), StatusCode::OK).await;
    problem(rotate(json!({ "overlap_seconds": 2_592_001 })), "invalid-body").await;
    // A repeat under the same idempotency key does not rotate again, and does not show the text.
    let again = || rotate(json!({})).header("Idempotency-Key", "turn");
    let fourth = answer(again(), StatusCode::OK).await;
    let repeated = answer(again(), StatusCode::OK).await;
    assert_eq!((&repeated["prefix"], &repeated["key"]), (&fourth["prefix"], &Value::Null));
    answer(api.request(Method::DELETE, &path(&first)).bearer_auth(&keys.admin), StatusCode::OK).await;
    for gone in [&third, &fourth] {
        problem(api.get(&text(gone), "/v1/jobs"), "unauthenticated").await;
    }
    problem(rotate(json!({})), "state-conflict").await;
}

#[tokio::test]
async fn a_keys_name_and_expiry_can_be_changed() {
    let clock = Clock::manual(Clock::system().now());
    let api = Api::start_at(&clock, Registration::Open, &[]).await;
    let keys = api.tenant("Ending").await;
    let past = json!({ "name": "k", "role": "viewer", "expires_at": "2020-01-01T00:00:00Z" });
    problem(api.post(&keys.admin, "/v1/api-keys", &past), "invalid-body").await;
    let far = json!({ "name": "k", "role": "viewer", "expires_at": "2999-01-01T00:00:00Z" });
    let key = made(api.post(&keys.admin, "/v1/api-keys", &far)).await;
    let change = |body: Value| api.request(Method::PATCH, &path(&key)).bearer_auth(&keys.admin).json(&body);
    let changed = answer(change(json!({ "name": "new" })), StatusCode::OK).await;
    assert_eq!((&changed["name"], &changed["expires_at"]), (&json!("new"), &key["expires_at"]));
    let changed = answer(change(json!({ "expires_at": null })), StatusCode::OK).await;
    assert_eq!((&changed["name"], &changed["expires_at"]), (&json!("new"), &Value::Null));
    problem(change(json!({ "name": "" })), "invalid-body").await;
    problem(change(json!({ "role": "agent" })), "invalid-body").await;

    answer(change(json!({ "expires_at": clock.now() + Duration::from_millis(60_000) })), StatusCode::OK).await;
    let key = text(&key);
    clock.advance(Duration::from_millis(59_999));
    answer(api.get(&key, "/v1/jobs"), StatusCode::OK).await;
    clock.advance(Duration::from_millis(1));
    problem(api.get(&key, "/v1/jobs"), "unauthenticated").await;
}

#[tokio::test]
async fn platform_keys_are_made_and_revoked_but_never_the_last() {
    let api = Api::start().await;
    let keys = api.tenant("Other").await;
    let list = "/v1/platform/api-keys";
    problem(api.get(&keys.admin, list), "forbidden").await;
    let listed = answer(api.get(&api.platform_key, list), StatusCode::OK).await;
    let first = format!("{list}/{}", listed["items"][0]["id"].as_str().unwrap());
    let delete = |key: &str, path: &str| api.request(Method::DELETE, path).bearer_auth(key);
    problem(delete(&api.platform_key, &first), "state-conflict").await;

    let reader = json!({ "name": "reader", "scopes": ["tenants:read", "platform_keys:write"] });
    let reader = text(&made(api.post(&api.platform_key, list, &reader)).await);
    let tenants = answer(api.get(&reader, "/v1/tenants"), StatusCode::OK).await;
    assert_eq!(tenants["items"].as_array().unwrap().len(), 1);
    problem(api.get(&reader, "/v1/queues"), "forbidden").await;
    problem(api.post(&reader, list, &json!({ "name": "everything" })), "forbidden").await;

    let second = made(api.post(&api.platform_key, list, &json!({ "name": "second" }))).await;
    answer(delete(&text(&second), &first), StatusCode::OK).await;
    problem(api.get(&api.platform_key, list), "unauthenticated").await;
    answer(api.get(&text(&second), list), StatusCode::OK).await;
    // A platform key is no tenant's, and a tenant's is not found among the platform's.
    let own = answer(api.get(&keys.admin, "/v1/api-keys"), StatusCode::OK).await;
    let own = format!("{list}/{}", own["items"][0]["id"].as_str().unwrap());
    problem(delete(&text(&second), &own), "not-found").await;
}

#[tokio::test]
async fn the_use_of_a_key_is_noted() {
    let api = Api::start().await;
    let keys = api.tenant("Used").await;
    let noted = async |name: &str| {
        let listed = answer(api.get(&keys.admin, "/v1/api-keys"), StatusCode::OK).await;
        let all = listed["items"].as_array().unwrap();
        all.iter().find(|key| key["name"] == name).unwrap()["last_used_at"].is_string()
    };
    assert!(!noted("viewer").await);
    answer(api.get(&keys.viewer, "/v1/jobs"), StatusCode::OK).await;
    until("its use is noted", async || noted("viewer").await.then_some(())).await;
}
