//! A backlog far past what stops the stock storage (see `stock_storage`).

use std::time::Duration;

use postrider_queue::{NewJob, QueueClient, QueueConfig, Tenant};
use postrider_shared::jobs::diagnostic::DiagnosticEcho;
use postrider_tests::wait::within;
use postrider_tests::{DatabaseKind, Platform};
use serde_json::json;

const JOBS: usize = 100_000;

#[tokio::test]
async fn a_hundred_thousand_due_jobs_pass() {
    // Nobody works while the backlog builds up, so that all of it is due at once.
    let platform = Platform::with(DatabaseKind::Sqlite).redis_setting("appendfsync", "everysec").start().await;
    let api = platform.tenant("Mass Mailers").await;
    platform.api().post("/v1/queues/diagnostics/pause", &json!({})).await.ok();
    let sample = api.submit("diagnostic.echo", &json!({})).await;
    let queue = QueueClient::connect(QueueConfig::new(platform.redis().url())).await.unwrap();
    let tenant: Tenant = queue.get(sample.id.parse().unwrap()).await.unwrap().unwrap().tenant;
    let jobs = (0..JOBS).map(|n| NewJob::of(tenant.clone(), &DiagnosticEcho { data: json!(n), lane: None }).unwrap());
    let enqueued = queue.enqueue_many(jobs.collect()).await.unwrap();
    assert_eq!(enqueued.len(), JOBS);
    let waiting = platform.api().get("/v1/queues/diagnostics").await.ok();
    assert_eq!(waiting["available"], JOBS + 1, "{waiting}");

    platform.api().post("/v1/queues/diagnostics/resume", &json!({})).await.ok();
    within(Duration::from_mins(4), "the backlog to be worked off", || async {
        let queue = platform.api().get("/v1/queues/diagnostics").await.ok();
        (queue["available"] == 0 && queue["running"] == 0).then_some(())
    })
    .await;
    for index in [0, JOBS / 2, JOBS - 1] {
        let id = match &enqueued[index] {
            postrider_queue::Enqueued::Created(id) => id.to_string(),
            other => panic!("{other:?}"),
        };
        let job = api.job(&id).await;
        assert_eq!((job.state.as_str(), job.attempt, job.output), ("completed", 1, Some(json!(index))));
    }
    platform.finish().await;
}
