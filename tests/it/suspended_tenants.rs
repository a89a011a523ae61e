//! A business that is suspended keeps all it has; it goes on where it stood, each job once.

use std::time::Duration;

use chrono::DateTime;
use postrider_tests::Api;
use postrider_tests::wait::within;
use postrider_tests::{DatabaseKind, Platform};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);
const POLLS: &str = "kind=poll_mailbox&state=completed";

on_both_databases!(a_suspended_tenant_waits_and_goes_on_where_it_stood);

async fn count(api: &Api, filter: &str) -> usize {
    api.all(&format!("/v1/jobs?{filter}")).await.len()
}

async fn a_suspended_tenant_waits_and_goes_on_where_it_stood(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let office = platform.workshop(1).await;
    let other = platform
        .office(
            "other@lindner-schilder.example",
            &json!({ "name": "Other" }),
            &[],
            json!({ "poll_interval_seconds": 1 }),
        )
        .await;
    let (api, root) = (&office.api, platform.api());
    let key = platform.key(api, "agent").await;
    within(PATIENCE, "a mailbox to be polled", || async { (count(api, POLLS).await > 0).then_some(()) }).await;
    let running = key.submit("diagnostic.sleep", &json!({ "ms": 6_000 })).await;
    within(PATIENCE, "it to run", || async { (key.job(&running.id).await.state == "running").then_some(()) }).await;
    // By Redis's own clock.
    let (seconds, _): (i64, i64) =
        redis::cmd("TIME").query_async(&mut platform.redis().connection().await).await.unwrap();
    let soon = DateTime::from_timestamp(seconds + 8, 0).unwrap().to_rfc3339();
    let due = key.submit_body(&json!({ "kind": "diagnostic.echo", "run_at": soon })).await;

    let path = |verb: &str| format!("/v1/tenants/{}/{verb}", office.tenant_id);
    root.post(&path("suspend"), &json!({})).await.expect_status(200);
    let refused = key.post("/v1/jobs", &json!({ "kind": "diagnostic.echo" })).await.expect_status(403).body;
    assert_eq!(refused["type"], "/problems/tenant-inactive");
    // Those who run the platform may still put something there.
    let jobs: Vec<Value> = (0..50).map(|_| json!({ "kind": "diagnostic.echo" })).collect();
    let batch = api.post("/v1/jobs/batch", &jobs).await.expect_status(202).body;
    let mut ids: Vec<String> =
        batch["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect();
    ids.push(due.id);
    assert_eq!(api.finished(&running.id).await.state, "completed", "what ran when it was suspended ends");
    within(PATIENCE, "the scheduled job to be due", || async {
        (api.job(ids.last().unwrap()).await.state == "available").then_some(())
    })
    .await;

    // The other one's mailbox is polled again and again; this one's not, and nothing of it runs.
    let (polls, begun) = (count(api, POLLS).await, count(&other.api, POLLS).await);
    within(PATIENCE, "three more polls of the other mailbox", || async {
        (count(&other.api, POLLS).await >= begun + 3).then_some(())
    })
    .await;
    assert_eq!(count(api, POLLS).await, polls);
    for id in &ids {
        assert_eq!(api.job(id).await.state, "available");
    }

    root.post(&path("activate"), &json!({})).await.expect_status(200);
    for id in &ids {
        let job = key.finished(id).await;
        assert_eq!((job.state.as_str(), job.attempt), ("completed", 1), "{job:?}");
    }
    within(PATIENCE, "its mailbox to be polled again", || async { (count(api, POLLS).await > polls).then_some(()) })
        .await;
    platform.finish().await;
}
