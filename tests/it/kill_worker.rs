//! A worker dies: its jobs run elsewhere, none is lost, none runs twice to its end.

use std::time::Duration;

use chrono::{DateTime, Utc};
use postrider_shared::clock::Clock;
use postrider_tests::{DatabaseKind, Platform, eventually};
use serde_json::{Value, json};

/// From the kill to the end of the last job: session TTL (6 s), and as long for its jobs to run again on a busy machine.
const RECOVERY: Duration = Duration::from_secs(12);

#[tokio::test]
async fn jobs_of_a_killed_worker_run_elsewhere() {
    let platform = Platform::with(DatabaseKind::Sqlite).workers(2).start().await;
    let api = platform.tenant("Survivors").await;
    let jobs: Vec<Value> = (0..200).map(|_| json!({ "kind": "diagnostic.sleep", "payload": { "ms": 400 } })).collect();
    let batch = api.post("/v1/jobs/batch", &jobs).await.expect_status(202).body;
    eventually("both workers to be full", || async {
        let queue = platform.api().get("/v1/queues/diagnostics").await.ok();
        (queue["running"].as_u64().unwrap_or_default() >= 100).then_some(())
    })
    .await;
    let before = api.all("/v1/jobs?state=running").await;
    platform.worker(0).kill();
    let killed = Clock::system().now();
    let (mut started_again, mut last) = (0, killed);
    for item in batch["items"].as_array().unwrap() {
        let job = api.finished(item["id"].as_str().unwrap()).await;
        assert_eq!(job.state, "completed", "{job:?}");
        let ended: DateTime<Utc> = job.finished_at.as_deref().unwrap().parse().unwrap();
        last = last.max(ended);
        let first = before.iter().find(|running| running["id"] == job.id.as_str());
        started_again +=
            usize::from(first.is_some_and(|running| running["started_at"].as_str() != job.started_at.as_deref()));
    }
    assert!(started_again > 0, "the killed worker held no job: the test proves nothing");
    assert!((last - killed).to_std().unwrap() < RECOVERY, "{}", last - killed);
    platform.finish().await;
}

#[tokio::test]
async fn a_job_that_kills_its_worker_is_buried_by_its_third_crash_and_harms_no_other() {
    let platform = Platform::with(DatabaseKind::Sqlite).workers(1).start().await;
    let api = platform.tenant("Bomb Disposal").await;
    let bystander = api.submit("diagnostic.sleep", &json!({ "ms": 2_000 })).await;
    let bomb = api.submit_body(&json!({ "kind": "diagnostic.crash", "max_attempts": 2 })).await;
    // What a supervisor does, until the bomb is dead.
    let mut crashes = 0;
    loop {
        let job = api.job(&bomb.id).await;
        if job.has_ended() {
            assert_eq!(job.state, "dead", "{job:?}");
            assert!(job.error.as_deref().is_some_and(|error| error.starts_with("poison: ")), "{job:?}");
            break;
        }
        if !platform.worker(0).is_running() {
            crashes += 1;
            platform.worker(0).kill_and_restart().await;
        }
        let _ = api.get(&format!("/v1/jobs/{}?wait=500ms", bomb.id)).await;
    }
    assert_eq!(crashes, 2, "the third crash is that of a process in which it was alone");
    let job = api.finished(&bystander.id).await;
    assert_eq!(job.state, "completed", "{job:?}");
    platform.finish().await;
}

#[tokio::test]
async fn a_stopped_worker_returns_its_jobs_without_an_attempt_under_kill() {
    let platform = Platform::with(DatabaseKind::Sqlite).workers(2).setting("WORKER_GRACE_SECONDS", &1).start().await;
    let api = platform.tenant("Graceful").await;
    let jobs: Vec<Value> = (0..20).map(|_| json!({ "kind": "diagnostic.sleep", "payload": { "ms": 4_000 } })).collect();
    let batch = api.post("/v1/jobs/batch", &jobs).await.expect_status(202).body;
    eventually("all jobs to run", || async {
        (platform.api().get("/v1/queues/diagnostics").await.ok()["running"] == 20).then_some(())
    })
    .await;
    let status = platform.worker(0).stop(Duration::from_secs(15)).await;
    assert!(status.success(), "{status}");
    for item in batch["items"].as_array().unwrap() {
        let job = api.finished(item["id"].as_str().unwrap()).await;
        assert_eq!((job.state.as_str(), job.attempt), ("completed", 1), "{job:?}");
    }
    platform.finish().await;
}
