//! How fast this queue is on this machine: bulk enqueue, concurrent enqueue, drain, memory per job.
//!
//! ```text
//! cargo run --release -p postrider-queue --example throughput redis://127.0.0.1:6390 [jobs] [concurrency] [tenants]
//! ```
//! It fills and empties the Redis it is given, so give it an empty one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use apalis_core::worker::builder::WorkerBuilder;
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

async fn memory(client: &redis::Client) -> Result<f64, Failure> {
    let mut connection = client.get_multiplexed_async_connection().await?;
    let info: String = redis::cmd("INFO").arg("memory").query_async(&mut connection).await?;
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    Ok(used.unwrap_or("0").trim().parse()?)
}

fn letters(many: u32, tenants: u32) -> Result<Vec<NewJob>, Failure> {
    let letter = Letter { text: "x".repeat(189) }; // 200 bytes of JSON
    (0..many).map(|n| Ok(NewJob::of(Tenant::parse(format!("tenant-{}", n % tenants))?, &letter)?)).collect()
}

/// One figure per line, as `name value unit`.
fn tell(name: &str, value: f64, unit: &str) {
    tracing::info!("{name:<20} {value:>10.0} {unit}");
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    tracing_subscriber::fmt().with_target(false).without_time().init();
    let mut args = std::env::args().skip(1);
    let url = args.next().ok_or("usage: throughput REDIS_URL [jobs] [concurrency] [tenants]")?;
    let many: u32 = args.next().map_or(Ok(100_000), |text| text.parse())?;
    let concurrency: usize = args.next().map_or(Ok(256), |text| text.parse())?;
    let tenants: u32 = args.next().map_or(Ok(1), |text| text.parse())?;
    let redis = redis::Client::open(url.as_str())?;
    let client = QueueClient::connect(QueueConfig::new(url)).await?;

    let empty = memory(&redis).await?;
    let jobs = letters(many, tenants)?;
    let started = Instant::now();
    client.enqueue_many(jobs).await?;
    tell("enqueue-bulk", f64::from(many) / started.elapsed().as_secs_f64(), "jobs/s");
    tell("pending", (memory(&redis).await? - empty) / f64::from(many), "bytes/job");

    let done = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&done);
    let policies = |kind: &str| (kind == Letter::KIND.as_str()).then(Policy::of::<Letter>);
    let started = Instant::now();
    let backend = QueueBackend::new(&client, WorkerConfig::new(vec![Letter::QUEUE], concurrency), Arc::new(policies));
    let session = backend.handle();
    let worker = WorkerBuilder::new("bench").backend(backend).build(move |_: Claimed| {
        count.fetch_add(1, Ordering::Relaxed);
        async { Outcome::from(Done::empty()) }
    });
    let drained = async {
        while client.queue(&Letter::QUEUE).await?.completed < u64::from(many) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        tell("drain", f64::from(many) / started.elapsed().as_secs_f64(), "jobs/s");
        Ok::<(), Failure>(())
    };
    tokio::select! {
        worker = worker.run() => worker?,
        drained = drained => drained?,
    }
    session.close(Duration::from_secs(5)).await?;
    tell("finished", (memory(&redis).await? - empty) / f64::from(many), "bytes/job");
    tell("runs", f64::from(u32::try_from(done.load(Ordering::Relaxed))?), "");

    let started = Instant::now();
    let each = many / 64 / 4;
    let callers = (0..64).map(|_| {
        let client = client.clone();
        async move {
            for job in letters(each, 1).unwrap_or_default() {
                client.enqueue(job).await?;
            }
            Ok::<(), postrider_queue::QueueError>(())
        }
    });
    futures::future::try_join_all(callers).await?;
    tell("enqueue-concurrent", f64::from(each * 64) / started.elapsed().as_secs_f64(), "jobs/s");
    Ok(())
}
