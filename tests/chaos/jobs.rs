//! Jobs for drills, and when they are through.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use postrider_queue::{NewJob, QueueClient, QueueConfig, Tenant};
use postrider_shared::jobs::{Queue, diagnostic::DiagnosticSleep};
use postrider_tests::platform::Builder;
use postrider_tests::runs::{Runs, created};
use postrider_tests::{DatabaseKind, Platform, RedisServer};

/// A platform of so many workers that note their runs, and without a scheduler.
pub fn workers(count: usize, runs: &Runs) -> Builder {
    Platform::with(DatabaseKind::Sqlite)
        .workers(count)
        .schedulers(0)
        .setting("RUST_LOG", &"warn,postrider_worker=info,postrider_api=info,postrider_scheduler=info")
        .setting("DIAGNOSTIC_LEDGER", &runs.path().display())
}

/// How many leases workers lost because a shard took them for dead, by their own logs.
pub fn lost_leases(platform: &Platform) -> usize {
    let lost = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        line["message"].as_str()?.starts_with("the session was taken for dead").then_some(())?;
        line["leases"].as_u64()
    };
    let all = |worker: &postrider_tests::Process| worker.log().lines().filter_map(lost).sum::<u64>();
    usize::try_from(platform.workers().iter().map(all).sum::<u64>()).unwrap_or(usize::MAX)
}

/// How many outcomes workers could not deliver because the lease was lost: their jobs ran again.
pub fn refused_outcomes(platform: &Platform) -> usize {
    platform.workers().iter().map(|worker| worker.log().matches("outcome refused").count()).sum()
}

pub async fn client(redis: &RedisServer) -> QueueClient {
    QueueClient::connect(QueueConfig::new(redis.url())).await.expect("connect to the queue")
}

/// Enqueues sleeps of four tenants and returns the ids of those that Redis accepted.
pub async fn enqueue_sleeps(client: &QueueClient, count: usize, ms: u64) -> HashSet<String> {
    let jobs = (0..count).map(|number| sleep(number, ms)).collect();
    created(&client.enqueue_many(jobs).await.expect("enqueue"))
}

/// A sleep of one of four tenants.
pub fn sleep(number: usize, ms: u64) -> NewJob {
    let tenant = Tenant::parse(format!("drill-{}", number % 4)).expect("a tenant's name");
    NewJob::of(tenant, &DiagnosticSleep { ms, lane: None }).expect("a job")
}

/// Waits until no diagnostic job waits or runs.
///
/// # Panics
/// When that does not happen in time.
pub async fn drained(client: &QueueClient, deadline: Duration) {
    assert!(all_ended(client, deadline).await, "waited {deadline:?} in vain for all jobs to end");
}

/// Whether there comes a time before the deadline when no diagnostic job waits or runs.
pub async fn all_ended(client: &QueueClient, deadline: Duration) -> bool {
    let (queue, started) = (Queue::Diagnostics.name(), Instant::now());
    while started.elapsed() < deadline {
        if let Ok(stats) = client.queue(&queue).await
            && stats.available + stats.scheduled + stats.retryable + stats.running == 0
        {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}
