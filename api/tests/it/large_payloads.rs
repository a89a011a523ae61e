//! Payloads that are too large for the queue and lie in the object store.

use postrider_queue::MAX_PAYLOAD_BYTES;
use postrider_shared::payloads;
use reqwest::{Method, StatusCode, header};
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};

use crate::api::{Api, answer, problem};

/// More than the queue takes; `letter` tells contents apart.
fn large(letter: &str) -> Value {
    json!({ "kind": "diagnostic.echo", "payload": { "data": letter.repeat(MAX_PAYLOAD_BYTES) } })
}

/// `{"data":"…"}`
const LARGE_BYTES: usize = MAX_PAYLOAD_BYTES + 11;

/// How many payloads are stored.
async fn stored(api: &Api) -> i64 {
    let reader = api.app.database().reader();
    let count = Statement::from_string(reader.get_database_backend(), "SELECT COUNT(*) AS many FROM stored_payloads");
    reader.query_one_raw(count).await.unwrap().unwrap().try_get("", "many").unwrap()
}

#[tokio::test]
async fn a_large_payload_is_stored_and_shown_by_its_size() {
    let api = Api::start().await;
    let keys = api.tenant("Large").await;
    let id = answer(api.post(&keys.agent, "/v1/jobs", &large("a")), StatusCode::ACCEPTED).await["id"].clone();
    let path = format!("/v1/jobs/{}", id.as_str().unwrap());
    let job = answer(api.get(&keys.viewer, &path), StatusCode::OK).await;
    assert_eq!((&job["payload"], &job["stored_payload_bytes"]), (&Value::Null, &json!(LARGE_BYTES)));
    let listed = answer(api.get(&keys.viewer, "/v1/jobs"), StatusCode::OK).await;
    assert_eq!(listed["items"][0]["stored_payload_bytes"], LARGE_BYTES);
    // What a worker gets is what was sent.
    let record = api.app.queue().get(id.as_str().unwrap().parse().unwrap()).await.unwrap().unwrap();
    assert!(record.payload.len() < 300, "{} bytes in the queue", record.payload.len());
    let content = payloads::resolve(api.app.objects(), &record.tenant, record.payload.clone()).await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&content).unwrap(), large("a")["payload"]);
    // Another tenant cannot reach it by the same reference.
    let other = postrider_queue::Tenant::parse(api.tenant("Other").await.id).unwrap();
    assert!(payloads::resolve(api.app.objects(), &other, record.payload).await.is_err());

    let small = answer(api.post(&keys.agent, "/v1/jobs", &json!({ "kind": "diagnostic.echo" })), StatusCode::ACCEPTED);
    let path = format!("/v1/jobs/{}", small.await["id"].as_str().unwrap());
    let job = answer(api.get(&keys.viewer, &path), StatusCode::OK).await;
    assert_eq!((&job["payload"], &job["stored_payload_bytes"]), (&json!({ "data": null }), &Value::Null));
    assert_eq!(stored(&api).await, 1);
}

#[tokio::test]
async fn what_the_queue_does_not_take_is_not_kept() {
    let api = Api::start().await;
    let keys = api.tenant("Repeated").await;
    let keyed = |body: &Value| api.post(&keys.agent, "/v1/jobs", body).header("Idempotency-Key", "once");
    let first = answer(keyed(&large("a")), StatusCode::ACCEPTED).await;
    let again = answer(keyed(&large("a")), StatusCode::ACCEPTED).await;
    assert_eq!((&again["id"], &again["existed"]), (&first["id"], &json!(true)));
    // The same size, another content.
    let conflict = problem(keyed(&large("b")), "idempotency-key-reused").await;
    assert_eq!(conflict["job_id"], first["id"]);
    let mut unique = large("c");
    unique["unique_key"] = json!("mine");
    answer(api.post(&keys.agent, "/v1/jobs", &unique), StatusCode::ACCEPTED).await;
    problem(api.post(&keys.agent, "/v1/jobs", &unique), "unique-key-taken").await;
    unique["unique_for"] = json!("replace");
    let refused = problem(api.post(&keys.agent, "/v1/jobs", &unique), "invalid-body").await;
    assert_eq!(refused["errors"][0]["pointer"], "/unique_for");
    api.redis.command(&["CONFIG", "SET", "maxmemory", "1mb"]);
    problem(api.post(&keys.agent, "/v1/jobs", &large("d")), "queue-full").await;
    assert_eq!(stored(&api).await, 2);
}

#[tokio::test]
async fn a_batch_may_have_large_payloads() {
    let api = Api::start().await;
    let keys = api.tenant("Batch").await;
    let jobs = json!([large("a"), { "kind": "diagnostic.echo" }, large("b")]);
    let batch = answer(api.post(&keys.agent, "/v1/jobs/batch", &jobs), StatusCode::ACCEPTED).await;
    assert_eq!(batch["accepted"], 3);
    let mut over = large("x");
    over["payload"]["data"] = json!("x".repeat(1024 * 1024));
    let lines = format!("{}\n{over}\n{}\n", large("c"), large("d"));
    let request = api.request(Method::POST, "/v1/jobs/batch").bearer_auth(&keys.agent);
    let sent = request.header(header::CONTENT_TYPE, "application/x-ndjson").body(lines).send().await.unwrap();
    let text = sent.text().await.unwrap();
    let statuses: Vec<u64> =
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [202, 413, 202]);
    let refused = problem(api.post(&keys.agent, "/v1/jobs", &over), "payload-too-large").await;
    assert!(refused["detail"].as_str().unwrap().contains("1048576 are allowed"), "{refused}");
    assert_eq!(stored(&api).await, 4);
}
