//! Many waiting jobs are cancelled by a filter.

use std::time::Duration;

use postrider_tests::{Api, DatabaseKind, Platform, eventually};
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
    // What the first run cancelled after its last note is not counted; how many there were, it had noted.
    assert!(count("total") == MANY && count("cancelled") <= MANY && count("cancelled") > 0, "{output}");
    assert_eq!((count("asked_to_stop"), count("done")), (0, count("cancelled") + count("gone")), "{output}");
    assert_eq!(scheduled().await, 50, "the others stay");
    let page = api.all("/v1/jobs?kind=diagnostic.echo&state=cancelled").await;
    assert!(!page.is_empty());
    platform.abandon("fifty jobs wait for the year 2099");
}

/// Each part of a selection narrows it; what runs, and what is another tenant's, is never meant.
#[tokio::test]
async fn each_part_of_a_selection_narrows_what_is_cancelled() {
    let platform = Platform::with(DatabaseKind::Sqlite).start().await;
    let (api, other) = (platform.tenant("Choosers").await, platform.tenant("Bystanders").await);
    let running = api.submit("diagnostic.sleep", &json!({ "ms": 600_000 })).await;
    eventually("it to run", || async { (api.job(&running.id).await.state == "running").then_some(()) }).await;
    let batch = api.post("/v1/batches", &json!({})).await.expect_status(201).body;
    let enqueue = async |api: &Api, more: &Value| {
        let mut body = json!({ "kind": "diagnostic.echo", "run_at": "2099-01-01T00:00:00Z" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let job = api.submit_body(&body).await;
        let job = api.get(&format!("/v1/jobs/{}", job.id)).await.ok();
        job["enqueued_at"].as_str().unwrap().to_owned()
    };
    let theirs = other.submit_body(&json!({ "kind": "diagnostic.echo", "run_at": "2099-01-01T00:00:00Z" })).await;
    let first = enqueue(&api, &json!({ "lane": "left" })).await;
    eventually("a later millisecond", || async { (enqueue(&other, &json!({})).await > first).then_some(()) }).await;
    let middle = enqueue(&api, &json!({ "queue": "drills" })).await;
    for more in [
        json!({ "queue": "drills" }),
        json!({ "batch_id": batch["id"] }),
        json!({ "batch_id": batch["id"] }),
        json!({ "batch_id": batch["id"] }),
        json!({ "kind": "diagnostic.sleep", "payload": { "ms": 1 } }),
    ] {
        enqueue(&api, &more).await;
    }
    let outcome = async |selection: &Value| {
        let job = api.post("/v1/jobs/cancel", selection).await.expect_status(202).body;
        let done = api.finished(job["id"].as_str().unwrap()).await;
        assert_eq!(done.state, "completed", "{:?}", done.error);
        done.output.unwrap()
    };
    for (selection, many) in [
        (json!({}), 7),
        (json!({ "lane": "left" }), 1),
        (json!({ "queue": "drills" }), 2),
        (json!({ "batch_id": batch["id"] }), 3),
        (json!({ "kind": "diagnostic.sleep" }), 1),
        (json!({ "state": "scheduled" }), 7),
        (json!({ "state": "available" }), 0),
        (json!({ "state": "retryable" }), 0),
        (json!({ "created_before": middle }), 1),
        (json!({ "created_after": middle }), 6),
        (json!({ "created_after": middle, "queue": "drills", "kind": "diagnostic.sleep" }), 0),
    ] {
        let mut preview = selection.clone();
        preview["dry_run"] = json!(true);
        assert_eq!(outcome(&preview).await, json!({ "total": many }), "{selection}");
    }
    let all = |many: u64| json!({ "total": many, "done": many, "cancelled": many, "asked_to_stop": 0, "gone": 0 });
    assert_eq!(outcome(&json!({ "batch_id": batch["id"] })).await, all(3));
    assert_eq!(outcome(&json!({})).await, all(4));
    let left = api.job(&running.id).await;
    assert_eq!(left.state, "running");
    assert_eq!(other.job(&theirs.id).await.state, "scheduled");
    api.post(&format!("/v1/jobs/{}/cancel", running.id), &json!({})).await.ok();
    assert_eq!(other.post("/v1/jobs/cancel", &json!({})).await.status, 202);
    eventually("theirs are cancelled, too", || async {
        (other.job(&theirs.id).await.state == "cancelled").then_some(())
    })
    .await;
    platform.finish().await;
}
