//! What delayed jobs cost on this machine: bytes per job, and what millions of them do to the jobs that run meanwhile.
//!
//! ```text
//! cargo run --release -p postrider-queue --example delayed redis://127.0.0.1:6390 [delayed jobs] [jobs that run]
//! ```
//! It fills the Redis it is given, so give it an empty one with enough memory.

use std::{sync::Arc, time::Instant};

use apalis_core::worker::builder::WorkerBuilder;
use chrono::{DateTime, TimeDelta, Utc};
use postrider_queue::{
    Claimed, Done, Job, JobKind, NewJob, Outcome, Policy, QueueBackend, QueueClient, QueueConfig, QueueName, Tenant,
    WorkerConfig,
};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Letter {
    text: String,
}

impl Job for Letter {
    const KIND: JobKind = JobKind::new("letter");
    const QUEUE: QueueName = QueueName::new("letters");
}

type Failure = Box<dyn std::error::Error>;

/// A figure of `INFO`, by the beginning of its line.
async fn figure(redis: &redis::Client, section: &str, name: &str) -> Result<f64, Failure> {
    let mut connection = redis.get_multiplexed_async_connection().await?;
    let info: String = redis::cmd("INFO").arg(section).query_async(&mut connection).await?;
    let line = info.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
    Ok(line.split(',').next().unwrap_or("0").trim().parse()?)
}

/// Runs jobs through the queue; tells jobs per second and microseconds of Redis per script call.
async fn run(what: &str, client: &QueueClient, redis: &redis::Client, many: u32) -> Result<(), Failure> {
    let mut connection = redis.get_multiplexed_async_connection().await?;
    let letter = Letter { text: "x".repeat(189) };
    let before = client.queue(&Letter::QUEUE).await?.completed;
    let jobs = (0..many).map(|_| NewJob::of(Tenant::parse("acme")?, &letter)).collect::<Result<_, _>>()?;
    let started = Instant::now();
    client.enqueue_many(jobs).await?;
    tracing::info!("{what}: enqueued {:.0} jobs/s", f64::from(many) / started.elapsed().as_secs_f64());
    redis::cmd("CONFIG").arg("RESETSTAT").query_async::<()>(&mut connection).await?;
    let policies = |kind: &str| (kind == Letter::KIND.as_str()).then(Policy::of::<Letter>);
    let started = Instant::now();
    let backend = QueueBackend::new(client, WorkerConfig::new(vec![Letter::QUEUE], 256), Arc::new(policies));
    let session = backend.handle();
    let worker =
        WorkerBuilder::new("bench").backend(backend).build(|_: Claimed| async { Outcome::from(Done::empty()) });
    let drained = async {
        while client.queue(&Letter::QUEUE).await?.completed < before + u64::from(many) {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        Ok::<(), Failure>(())
    };
    tokio::select! {
        worker = worker.run() => worker?,
        drained = drained => drained?,
    }
    let rate = f64::from(many) / started.elapsed().as_secs_f64();
    let mut calls = connection.clone();
    let stats: String = redis::cmd("INFO").arg("commandstats").query_async(&mut calls).await?;
    let scripts = stats.lines().find(|line| line.starts_with("cmdstat_evalsha:")).unwrap_or("none");
    tracing::info!("{what}: drained {rate:.0} jobs/s; {scripts}");
    session.close(std::time::Duration::from_secs(5)).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    tracing_subscriber::fmt().with_target(false).without_time().init();
    let mut args = std::env::args().skip(1);
    let url = args.next().ok_or("usage: delayed REDIS_URL [delayed jobs] [jobs that run]")?;
    let delayed: u32 = args.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let many: u32 = args.next().map_or(Ok(50_000), |text| text.parse())?;
    let redis = redis::Client::open(url.as_str())?;
    let client = QueueClient::connect(QueueConfig::new(url).shards(1)).await?;
    run("without delayed jobs", &client, &redis, many).await?;

    let start: DateTime<Utc> = "2090-01-01T00:00:00Z".parse()?;
    let letter = Letter { text: "x".repeat(189) };
    let empty = figure(&redis, "memory", "used_memory:").await?;
    let started = Instant::now();
    for part in 0..delayed.div_ceil(50_000) {
        let jobs = (0..50_000).map(|n| {
            // Spread over a year, in no order.
            let minutes = i64::from((part * 50_000 + n).wrapping_mul(2_654_435_761) % 525_600);
            Ok(NewJob::of(Tenant::parse("acme")?, &letter)?.run_at(start + TimeDelta::minutes(minutes)))
        });
        client.enqueue_many(jobs.collect::<Result<_, Failure>>()?).await?;
    }
    let enqueued = f64::from(delayed) / started.elapsed().as_secs_f64();
    let bytes = (figure(&redis, "memory", "used_memory:").await? - empty) / f64::from(delayed);
    tracing::info!(
        "{delayed} delayed jobs: enqueued {enqueued:.0} jobs/s, {bytes:.0} bytes each, record of 245 included"
    );
    run("with delayed jobs", &client, &redis, many).await
}
