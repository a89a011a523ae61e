//! What clients hear when the queue takes no new jobs, and that nothing accepted is told as refused, or the other way round.

use std::time::{Duration, Instant};

use postrider_queue::{DepthLimits, QueueName};
use reqwest::{StatusCode, header};
use serde_json::{Value, json};

use crate::api::{Api, answer, problem};

/// Waits until `look` is satisfied.
async fn until(what: &str, look: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !look().await {
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_deep_queue_answers_503_and_when_to_come_back() {
    let api = Api::start().await;
    let keys = api.tenant("Deep").await;
    let drills = QueueName::parse("drills").unwrap();
    let limits = DepthLimits { every: None, queues: vec![(drills.clone(), 300)] };
    api.app.queue().limit_depth(&limits).await.unwrap();
    let echo = json!({ "kind": "diagnostic.echo", "queue": "drills" });

    // 600 lines: the first call of 256 fits, the second does not.
    let lines = format!("{echo}\n").repeat(600);
    let sent = api
        .request(reqwest::Method::POST, "/v1/jobs/batch")
        .bearer_auth(&keys.agent)
        .header(header::CONTENT_TYPE, "application/x-ndjson")
        .body(lines)
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), StatusCode::MULTI_STATUS);
    let text = sent.text().await.unwrap();
    let results: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let accepted: Vec<&Value> = results.iter().filter(|result| result["status"] == 202).collect();
    let refused = results.iter().filter(|result| result["problem"]["type"] == "/problems/queue-too-deep").count();
    let waiting = api.app.queue().queue(&drills).await.unwrap().available;
    assert_eq!((accepted.len(), refused, waiting), (256, 344, 256));

    api.app.queue().limit_depth(&DepthLimits { every: Some(0), queues: Vec::new() }).await.unwrap();
    let response = api.post(&keys.agent, "/v1/jobs", &echo).send().await.unwrap();
    assert_eq!(response.headers()[header::RETRY_AFTER], "5");
    let told = problem(api.post(&keys.agent, "/v1/jobs", &echo), "queue-too-deep").await;
    assert_eq!(told["detail"], "256 jobs wait in queue drills already, and 0 may.");
    // Nothing of it was accepted, so the whole request is refused.
    problem(api.post(&keys.agent, "/v1/jobs/batch", &json!([echo, echo])), "queue-too-deep").await;
    api.app.queue().limit_depth(&DepthLimits::NONE).await.unwrap();
    answer(api.post(&keys.agent, "/v1/jobs", &echo), StatusCode::ACCEPTED).await;
}

#[tokio::test]
async fn short_memory_answers_503_and_when_to_come_back() {
    let api = Api::start().await;
    let keys = api.tenant("Full").await;
    let echo = json!({ "kind": "diagnostic.echo" });
    let id = answer(api.post(&keys.agent, "/v1/jobs", &echo), StatusCode::ACCEPTED).await["id"].clone();
    let used = api.redis.command(&["INFO", "memory"]);
    let used = used.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().trim().parse::<u64>().unwrap();
    // As if a tenth were free.
    api.redis.command(&["CONFIG", "SET", "maxmemory", &(used + used / 9).to_string()]);
    until("the shards are closed", async || {
        api.app.queue().tick().await.unwrap();
        api.post(&keys.agent, "/v1/jobs", &echo).send().await.unwrap().status() == StatusCode::SERVICE_UNAVAILABLE
    })
    .await;
    let response = api.post(&keys.agent, "/v1/jobs", &echo).send().await.unwrap();
    assert_eq!(response.headers()[header::RETRY_AFTER], "5");
    problem(api.post(&keys.agent, "/v1/jobs", &echo), "queue-full").await;
    // What is inside can still be acted on.
    let path = format!("/v1/jobs/{}/cancel", id.as_str().unwrap());
    answer(api.request(reqwest::Method::POST, &path).bearer_auth(&keys.agent), StatusCode::OK).await;
    api.redis.command(&["CONFIG", "SET", "maxmemory", "1gb"]);
    until("the shards are open", async || {
        api.app.queue().tick().await.unwrap();
        api.post(&keys.agent, "/v1/jobs", &echo).send().await.unwrap().status() == StatusCode::ACCEPTED
    })
    .await;
}
