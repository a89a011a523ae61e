//! Redis dies and comes back while jobs run: everybody goes on by itself, and nothing that was accepted is lost.

use std::time::Duration;

use postrider_tests::client::Answer;
use postrider_tests::{DatabaseKind, Platform, eventually};
use serde_json::{Value, json};
use tokio::time::Instant;

#[tokio::test]
async fn work_goes_on_after_redis_was_killed_and_restarted() {
    let platform = Platform::with(DatabaseKind::Sqlite).workers(2).start().await;
    let api = platform.tenant("Unshaken").await;
    let jobs: Vec<Value> = (0..3_000).map(|n| json!({ "kind": "diagnostic.echo", "payload": { "data": n } })).collect();
    let batch = api.post("/v1/jobs/batch", &jobs).await.expect_status(202).body;
    let slow = api.submit("diagnostic.sleep", &json!({ "ms": 3_000 })).await;
    platform.redis().kill();

    let request = api.request(reqwest::Method::POST, "/v1/jobs").json(&json!({ "kind": "diagnostic.echo" }));
    let refused = Answer::of(request).await;
    assert!(refused.header("retry-after").is_some(), "{refused:#?}");
    refused.problem(503, "queue-unavailable");

    platform.redis().restart().await;
    let back = Instant::now();
    let probe = eventually("the API to take jobs again", || async {
        let answer = api.post("/v1/jobs", &json!({ "kind": "diagnostic.echo" })).await;
        (answer.status == 202).then(|| answer.body["id"].as_str().unwrap().to_owned())
    })
    .await;
    assert!(back.elapsed() < Duration::from_secs(10), "the API needed {:?}", back.elapsed());
    api.finished(&probe).await;

    for item in batch["items"].as_array().unwrap() {
        let job = api.finished(item["id"].as_str().unwrap()).await;
        assert_eq!(job.state, "completed", "{job:?}");
        assert_eq!(job.output, Some(item["index"].clone()));
    }
    assert_eq!(api.finished(&slow.id).await.state, "completed");
    assert!(platform.processes().all(postrider_tests::Process::is_running), "somebody did not survive");
    platform.finish().await;
}
