//! Jobs for drills, and when they are through.

use std::collections::HashSet;
use std::time::Duration;

use postrider_queue::{Enqueued, NewJob, QueueClient, QueueConfig, Tenant};
use postrider_shared::jobs::{Queue, diagnostic::DiagnosticSleep};
use postrider_tests::RedisServer;
use postrider_tests::wait::within;

pub async fn client(redis: &RedisServer) -> QueueClient {
    QueueClient::connect(QueueConfig::new(redis.url())).await.expect("connect to the queue")
}

/// Enqueues sleeps of four tenants and returns the ids of those that Redis accepted.
pub async fn enqueue_sleeps(client: &QueueClient, count: usize, ms: u64) -> HashSet<String> {
    let jobs = (0..count)
        .map(|number| {
            let tenant = Tenant::parse(format!("drill-{}", number % 4)).expect("a tenant's name");
            NewJob::of(tenant, &DiagnosticSleep { ms, lane: None }).expect("a job")
        })
        .collect();
    let answers = client.enqueue_many(jobs).await.expect("enqueue");
    answers
        .into_iter()
        .filter_map(|answer| match answer {
            Enqueued::Created(id) => Some(id.to_string()),
            Enqueued::Exists(_)
            | Enqueued::UniqueTaken(_)
            | Enqueued::IdempotencyConflict(_)
            | Enqueued::Replaced(_)
            | Enqueued::BatchClosed(_) => None,
        })
        .collect()
}

/// Waits until no diagnostic job waits or runs.
pub async fn drained(client: &QueueClient, deadline: Duration) {
    let queue = Queue::Diagnostics.name();
    within(deadline, "all jobs to end", || async {
        let stats = client.queue(&queue).await.ok()?;
        (stats.available + stats.scheduled + stats.retryable + stats.running == 0).then_some(())
    })
    .await;
}
