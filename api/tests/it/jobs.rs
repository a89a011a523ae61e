//! Jobs: what may be submitted, and following them. No worker runs here; what workers do is tested in `tests/it`.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::api::{Api, TenantKeys, answer, problem};

async fn submit(api: &Api, keys: &TenantKeys, body: &Value) -> String {
    let accepted = answer(api.post(&keys.agent, "/v1/jobs", body), StatusCode::ACCEPTED).await;
    accepted["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_submission_is_checked_against_its_kind() {
    let api = Api::start().await;
    let keys = api.tenant("Checked").await;
    let post = |body: Value| api.post(&keys.agent, "/v1/jobs", &body);
    problem(post(json!({ "kind": "diagnostic.unheard_of" })), "unknown-kind").await;
    problem(post(json!({ "kind": "../../etc/passwd" })), "unknown-kind").await;
    problem(post(json!({ "kind": "send_email", "payload": {} })), "kind-not-submittable").await;
    problem(post(json!({ "kind": "diagnostic.sleep", "payload": { "ms": "long" } })), "invalid-payload").await;
    problem(post(json!({ "kind": "diagnostic.sleep", "payload": { "ms": 1, "colour": 2 } })), "invalid-payload").await;
    problem(post(json!({ "kind": "diagnostic.sleep", "payload": { "ms": 600_001 } })), "invalid-payload").await;
    problem(post(json!({ "kind": "diagnostic.sleep", "payload": 7 })), "invalid-payload").await;
    problem(post(json!({ "kind": "diagnostic.crash" })), "forbidden").await;
    let poll = json!({ "account_id": "0197f3a0-5c1e-7d2a-9b1f-3c5d7e9f1a2b" });
    problem(post(json!({ "kind": "poll_mailbox", "payload": poll, "lane": "fast" })), "invalid-body").await;
    problem(post(json!({ "kind": "poll_mailbox", "payload": poll, "queue": "email" })), "invalid-body").await;
    problem(post(json!({ "kind": "poll_mailbox", "payload": poll, "unique_key": "x" })), "invalid-body").await;
    let echo = |member: &str, value: Value| json!({ "kind": "diagnostic.echo", member: value });
    problem(post(echo("lane", json!("a b"))), "invalid-body").await;
    problem(post(echo("queue", json!("UPPER"))), "invalid-body").await;
    problem(post(echo("priority", json!("urgent"))), "invalid-body").await;
    problem(post(echo("max_attempts", json!(0))), "invalid-body").await;
    problem(post(echo("max_attempts", json!(101))), "invalid-body").await;
    problem(post(echo("unique_key", json!(""))), "invalid-body").await;
    problem(post(echo("idempotency_key", json!(""))), "invalid-body").await;
    problem(post(echo("run_at", json!("+10000-01-01T00:00:00Z"))), "invalid-body").await;
    problem(post(echo("run_at", json!("tomorrow"))), "invalid-body").await;
    let kinds = answer(api.get(&keys.viewer, "/v1/kinds"), StatusCode::OK).await;
    assert_eq!(kinds["items"].as_array().unwrap().len(), postrider_shared::jobs::catalogue().len());
}

#[tokio::test]
async fn a_diagnostic_job_stands_where_it_was_put() {
    let api = Api::start().await;
    let keys = api.tenant("Placed").await;
    let body = json!({
        "kind": "diagnostic.echo", "payload": { "data": { "n": 1 } }, "queue": "drills", "lane": "left",
        "priority": "low", "max_attempts": 3, "unique_key": "mine", "run_at": "2027-01-01T00:00:00Z"
    });
    let id = submit(&api, &keys, &body).await;
    let job = answer(api.get(&keys.viewer, &format!("/v1/jobs/{id}")), StatusCode::OK).await;
    assert_eq!((&job["queue"], &job["lane"]), (&json!("drills"), &json!("left")));
    assert_eq!(job["priority"], "low");
    assert_eq!((&job["max_attempts"], &job["unique_key"]), (&json!(3), &json!("mine")));
    assert_eq!((&job["state"], &job["payload"]["data"]), (&json!("scheduled"), &json!({ "n": 1 })));
    let taken = problem(api.post(&keys.agent, "/v1/jobs", &body), "unique-key-taken").await;
    assert_eq!(taken["job_id"], id);
    let queue = answer(api.get(&api.platform_key, "/v1/queues/drills"), StatusCode::OK).await;
    assert_eq!(queue["scheduled"], 1);
    problem(api.get(&api.platform_key, "/v1/queues/nowhere"), "not-found").await;
}

#[tokio::test]
async fn a_wait_ends_with_the_job() {
    let api = Api::start().await;
    let keys = api.tenant("Patient").await;
    let id = submit(&api, &keys, &json!({ "kind": "diagnostic.echo" })).await;
    let started = Instant::now();
    let job = answer(api.get(&keys.viewer, &format!("/v1/jobs/{id}?wait=100ms")), StatusCode::OK).await;
    assert_eq!(job["state"], "available");
    assert!(started.elapsed() >= Duration::from_millis(100));

    let path = format!("/v1/jobs/{id}?wait=30s");
    let waiting = answer(api.get(&keys.viewer, &path), StatusCode::OK);
    let cancelling = async {
        let path = format!("/v1/jobs/{id}/cancel");
        answer(api.request(Method::POST, &path).bearer_auth(&keys.agent), StatusCode::OK).await
    };
    let started = Instant::now();
    let (job, _) = tokio::join!(waiting, cancelling);
    assert_eq!(job["state"], "cancelled");
    assert!(started.elapsed() < Duration::from_secs(10));
    for wrong in ["61s", "-1s", "soon"] {
        problem(api.get(&keys.viewer, &format!("/v1/jobs/{id}?wait={wrong}")), "invalid-query").await;
    }
}

#[tokio::test]
async fn events_follow_a_job_to_its_end() {
    let api = Api::start().await;
    let keys = api.tenant("Followers").await;
    let id = submit(&api, &keys, &json!({ "kind": "diagnostic.echo", "run_at": "2027-01-01T00:00:00Z" })).await;
    let response = api.get(&keys.viewer, &format!("/v1/jobs/{id}/events")).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut events = response.bytes_stream();
    let mut text = String::new();
    while !text.contains("\n\n") {
        text.push_str(std::str::from_utf8(&events.next().await.unwrap().unwrap()).unwrap());
    }
    assert!(text.starts_with("event: job\ndata: {") && text.contains("\"scheduled\""), "{text}");
    let path = format!("/v1/jobs/{id}/cancel");
    answer(api.request(Method::POST, &path).bearer_auth(&keys.agent), StatusCode::OK).await;
    let rest = tokio::time::timeout(Duration::from_secs(10), events.collect::<Vec<_>>()).await;
    let rest: String = rest
        .expect("the stream ends")
        .into_iter()
        .map(|part| String::from_utf8(part.unwrap().to_vec()).unwrap())
        .collect();
    assert!(rest.contains("\"cancelled\""), "{rest}");
}

#[tokio::test]
async fn a_stop_ends_waits_and_streams() {
    let api = Api::start().await;
    let keys = api.tenant("Stopped").await;
    let id = submit(&api, &keys, &json!({ "kind": "diagnostic.echo" })).await;
    let response = api.get(&keys.viewer, &format!("/v1/jobs/{id}/events")).send().await.unwrap();
    let waiting_path = format!("/v1/jobs/{id}?wait=60s");
    let waiting = answer(api.get(&keys.viewer, &waiting_path), StatusCode::OK);
    let stop = async {
        tokio::task::yield_now().await;
        api.app.stopping().cancel();
    };
    let all = async { tokio::join!(waiting, response.text(), stop) };
    let (job, events, ()) = tokio::time::timeout(Duration::from_secs(10), all).await.expect("nobody waits on");
    assert_eq!(job["state"], "available");
    assert!(events.unwrap().contains("\"available\""));
    let ready = api.request(Method::GET, "/readyz").send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let api = Api::start().await;
    let keys = api.tenant("Many").await;
    let jobs: Vec<Value> = (0..25).map(|n| json!({ "kind": "diagnostic.echo", "payload": { "data": n } })).collect();
    answer(api.post(&keys.agent, "/v1/jobs/batch", &Value::Array(jobs)), StatusCode::ACCEPTED).await;
    submit(
        &api,
        &keys,
        &json!({ "kind": "diagnostic.sleep", "payload": { "ms": 1 }, "run_at": "2027-01-01T00:00:00Z" }),
    )
    .await;
    let mut seen = std::collections::HashSet::new();
    let mut cursor = String::new();
    loop {
        let page = answer(api.get(&keys.viewer, &format!("/v1/jobs?limit=10{cursor}")), StatusCode::OK).await;
        for job in page["items"].as_array().unwrap() {
            assert!(seen.insert(job["id"].as_str().unwrap().to_owned()), "twice: {job}");
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 26);
    for (filter, count) in
        [("kind=diagnostic.sleep", 1), ("state=scheduled", 1), ("state=available", 25), ("queue=mail", 0)]
    {
        let page = answer(api.get(&keys.viewer, &format!("/v1/jobs?limit=100&{filter}")), StatusCode::OK).await;
        assert_eq!(page["items"].as_array().unwrap().len(), count, "{filter}");
    }
}

#[tokio::test]
async fn a_batch_answers_for_each_job() {
    let api = Api::start().await;
    let keys = api.tenant("Batch").await;
    let array = json!([{ "kind": "diagnostic.echo" }, { "kind": "none" }, 7, { "kind": "diagnostic.echo", "idempotency_key": "own" }]);
    let mixed = answer(api.post(&keys.agent, "/v1/jobs/batch", &array), StatusCode::MULTI_STATUS).await;
    let statuses: Vec<u64> =
        mixed["items"].as_array().unwrap().iter().map(|item| item["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [202, 422, 422, 202]);
    assert_eq!(mixed["items"][1]["problem"]["type"], "/problems/unknown-kind");

    let lines = |body: String| {
        let request = api.request(Method::POST, "/v1/jobs/batch").bearer_auth(&keys.agent);
        request.header("content-type", "application/x-ndjson").header("Idempotency-Key", "import").body(body)
    };
    let body = "{\"kind\":\"diagnostic.echo\"}\r\n\n{\"kind\":\n\u{feff}{}\n{\"kind\":\"diagnostic.echo\"}";
    let response = lines(body.to_owned()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::MULTI_STATUS);
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let text = response.text().await.unwrap();
    let items: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let statuses: Vec<u64> = items.iter().map(|item| item["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [202, 400, 400, 202], "{text}");

    problem(api.post(&keys.agent, "/v1/jobs/batch", &json!({})), "invalid-body").await;
    answer(api.post(&keys.agent, "/v1/jobs/batch", &json!([])), StatusCode::ACCEPTED).await;
    let plain = api.request(Method::POST, "/v1/jobs/batch").bearer_auth(&keys.agent).body("x");
    problem(plain, "unsupported-media-type").await;
}

#[tokio::test]
async fn a_long_stream_is_taken_and_a_senseless_one_is_not_read_to_its_end() {
    let api = Api::start().await;
    let keys = api.tenant("Long").await;
    let lines = |body: String| {
        let request = api.request(Method::POST, "/v1/jobs/batch").bearer_auth(&keys.agent);
        request.header("content-type", "application/x-ndjson").body(body)
    };
    let good = "{\"kind\":\"diagnostic.echo\"}\n".repeat(5_000);
    let response = lines(good).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    assert_eq!(response.text().await.unwrap().lines().count(), 5_000);
    let queue = answer(api.get(&api.platform_key, "/v1/queues/diagnostics"), StatusCode::OK).await;
    assert_eq!(queue["available"], 5_000);

    let senseless = lines("nonsense\n".repeat(5_000)).send().await.unwrap();
    assert_eq!(senseless.status(), StatusCode::MULTI_STATUS);
    assert_eq!(senseless.text().await.unwrap().lines().count(), 1_000);
}
