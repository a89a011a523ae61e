//! Many waiting jobs are cancelled by a filter.

use std::time::Duration;

use postrider_tests::{DatabaseKind, Platform, eventually};
use serde_json::{Value, json};

const MANY: u64 = 4_000;

#[tokio::test]
async fn waiting_jobs_of_a_filter_are_cancelled_whatever_becomes_of_the_worker() {
    let platform = Platform::with(DatabaseKind::Sqlite).start().await;
    let api = platform.tenant("Second thoughts").await;
    let later =
        |kind: &str, payload: &Value| json!({ "kind": kind, "payload": payload, "run_at": "2099-01-01T00:00:00Z" });
    let echoes: Vec<Value> = (0..MANY).map(|n| later("diagnostic.echo", &json!({ "data": n }))).collect();
    api.post("/v1/jobs/batch", &json!(echoes)).await.expect_status(202);
    let others: Vec<Value> = (0..50).map(|_| later("diagnostic.sleep", &json!({ "ms": 1 }))).collect();
    api.post("/v1/jobs/batch", &json!(others)).await.expect_status(202);
    let scheduled = async || {
        let queue = platform.api().get("/v1/queues/diagnostics").await.ok();
        queue["scheduled"].as_u64().unwrap()
    };
    assert_eq!(scheduled().await, MANY + 50);

    let selection = json!({ "kind": "diagnostic.echo", "state": "scheduled" });
    let mut preview = selection.clone();
    preview["dry_run"] = json!(true);
    let job = api.post("/v1/jobs/cancel", &preview).await.expect_status(202).body;
    let counted = api.finished(job["id"].as_str().unwrap()).await;
    assert_eq!(counted.output, Some(json!({ "total": MANY })));
    assert_eq!(scheduled().await, MANY + 50, "nothing was cancelled yet");

    let job = api.post("/v1/jobs/cancel", &selection).await.expect_status(202).body;
    let job = job["id"].as_str().unwrap();
    eventually("the first ones are cancelled", || async { (scheduled().await < MANY).then_some(()) }).await;
    tokio::time::timeout(Duration::from_secs(30), platform.worker(0).kill_and_restart()).await.unwrap();
    let done = api.finished(job).await;
    assert_eq!(done.state, "completed", "{:?}", done.error);
    let output = done.output.unwrap();
    let count = |name: &str| output[name].as_u64().unwrap();
    // What the first run cancelled after its last note is not counted.
    assert!(count("total") <= MANY && count("cancelled") <= MANY && count("cancelled") > 0, "{output}");
    assert_eq!((count("asked_to_stop"), count("done")), (0, count("cancelled") + count("gone")), "{output}");
    assert_eq!(scheduled().await, 50, "the others stay");
    let page = api.all("/v1/jobs?kind=diagnostic.echo&state=cancelled").await;
    assert!(!page.is_empty());
    platform.abandon("fifty jobs wait for the year 2099");
}
