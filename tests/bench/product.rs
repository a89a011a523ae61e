//! The product's `drain`: bulk enqueue of echo jobs, then the real worker, one process, until the queue has acknowledged the last.

use std::time::{Duration, Instant};

use postrider_queue::{NewJob, QueueClient, QueueConfig, Tenant};
use postrider_shared::jobs::Queue;
use postrider_shared::jobs::diagnostic::DiagnosticEcho;
use postrider_tests::runs::{Runs, created, tally};
use postrider_tests::wait::within;
use postrider_tests::{DatabaseKind, Platform, Report};

use crate::bed::rate;

const DEADLINE: Duration = Duration::from_secs(300);

pub async fn run(jobs: usize, concurrency: usize, appendfsync: Option<&str>) -> Report {
    let folder = tempfile::tempdir().expect("make a folder");
    let ledger = folder.path().join("runs");
    let mut builder = Platform::with(DatabaseKind::Sqlite)
        .workers(1)
        .schedulers(0)
        .setting("WORKER_CONCURRENCY", &concurrency)
        .setting("RUST_LOG", &"warn,postrider_worker=info,postrider_api=info")
        .setting("DIAGNOSTIC_LEDGER", &ledger.display());
    if let Some(sync) = appendfsync {
        builder = builder.redis_setting("appendfsync", sync);
    }
    let platform = builder.start().await;
    // The worker stands still while the jobs go in, so that the two halves are measured apart.
    let client = QueueClient::connect(QueueConfig::new(platform.redis().url())).await.expect("connect to the queue");
    let queue = Queue::Diagnostics.name();
    client.pause(&queue).await.expect("pause the queue");

    let batch = (0..jobs).map(echo).collect();
    let enqueuing = Instant::now();
    let answers = client.enqueue_many(batch).await.expect("enqueue");
    let enqueued = enqueuing.elapsed();
    let accepted = created(&answers);

    let draining = Instant::now();
    client.resume(&queue).await.expect("resume the queue");
    within(DEADLINE, "the queue to be drained", || async {
        let stats = client.queue(&queue).await.ok()?;
        let left = stats.available + stats.scheduled + stats.retryable + stats.running;
        (left == 0).then_some(())
    })
    .await;
    let drained = draining.elapsed();

    let tally = tally(&accepted, &Runs::at(&ledger).read());
    platform.abandon("the benchmark's own jobs belong to no tenant of the API");
    let mut report = Report::new("drain");
    report
        .figure("jobs", accepted.len())
        .figure("concurrency", concurrency)
        .decimal("enqueued_jobs_per_s", rate(jobs, enqueued))
        .decimal("drained_jobs_per_s", rate(jobs, drained))
        .decimal("enqueue_s", enqueued.as_secs_f64())
        .decimal("drain_s", drained.as_secs_f64())
        .figure("lost", tally.lost)
        .figure("repeated", tally.repeated)
        .must("every job was accepted", accepted.len() == jobs)
        .must("nothing is lost", tally.lost == 0)
        .must("nothing ran twice", tally.repeated == 0);
    report
}

/// About 200 bytes of JSON.
const TEXT: &str = "A quote request of some length: two banners, three metres by one, and a sign of stainless steel, \
                    brushed, 400 by 300 millimetres, to be delivered before the end of the month if possible.";

fn echo(number: usize) -> NewJob {
    let job = DiagnosticEcho { data: serde_json::json!({ "number": number, "text": TEXT }), lane: None };
    NewJob::of(Tenant::parse("bench").expect("a tenant's name"), &job).expect("a job")
}
