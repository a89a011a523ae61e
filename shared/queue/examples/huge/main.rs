//! Whether every call stays short when everything is huge: so many jobs due at once, held by one dead session, dead, of one
//! batch, finished, parked, cancelled, and a tenth as many lanes with limits. Prints the worst call of each script in each
//! phase by Redis's own slow log, and ends with 1 if one took more than 5 ms.
//!
//! ```text
//! cargo run --release -p postrider-queue --example huge redis://127.0.0.1:6390 [jobs, default 1,000,000] [phase]
//! ```
//! It fills and empties the Redis it is given, so give it an empty one (with some GB), and a quiet machine: the slow log knows
//! wall time only. What a loop that touches no key takes at most is printed beside it.
//!
//! While Redis rewrites its log it shares its memory with a child, and each page that is written then is copied first: a call
//! takes up to five times as long, whatever it does. To see what the scripts take by themselves, start Redis with
//! `--auto-aof-rewrite-percentage 0`; the last lines say how many rewrites there were.

use std::{process::ExitCode, sync::Arc, time::Duration};

use apalis_core::worker::builder::WorkerBuilder;
use postrider_queue::{
    Claimed, Done, Job, JobKind, Outcome, Policy, QueueBackend, QueueClient, QueueConfig, QueueName, Stop, Tenant,
    WorkerConfig,
};
use serde::{Deserialize, Serialize};
use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

mod jobs;
mod lanes;
mod slow_log;

use slow_log::SlowLog;

type Failure = Box<dyn std::error::Error>;

#[derive(Serialize, Deserialize)]
struct Letter {
    text: String,
    fails: bool,
}

impl Letter {
    fn new(fails: bool) -> Self {
        Self { text: "x".repeat(170), fails }
    }
}

impl Job for Letter {
    const KIND: JobKind = JobKind::new("letter");
    const QUEUE: QueueName = QueueName::new("letters");
    const KEEP: Duration = Duration::from_secs(1);
}

/// What every phase works with.
struct Scene {
    client: QueueClient,
    redis: redis::aio::MultiplexedConnection,
    slow: SlowLog,
    acme: Tenant,
    many: u32,
    url: String,
}

impl Scene {
    /// A client of the emptied server.
    async fn again(&self) -> Result<QueueClient, Failure> {
        Ok(connect(&self.url).await?)
    }

    /// Runs all jobs that are available.
    async fn drain(&self) -> Result<(), Failure> {
        let policies = |kind: &str| (kind == Letter::KIND.as_str()).then(Policy::of::<Letter>);
        let backend = QueueBackend::new(&self.client, WorkerConfig::new(vec![Letter::QUEUE], 512), Arc::new(policies));
        let session = backend.handle();
        let worker = WorkerBuilder::new("huge").backend(backend).build(|job: Claimed| async move {
            let letter: Letter = serde_json::from_slice(&job.payload).map_err(Stop::fail)?;
            if letter.fails { Err(Stop::fail("as asked")) } else { Outcome::from(Done::empty()) }
        });
        let empty = async {
            loop {
                let stats = self.client.queue(&Letter::QUEUE).await?;
                if stats.available + stats.running == 0 {
                    return Ok::<(), Failure>(());
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::select! {
            worker = worker.run() => worker?,
            empty = empty => empty?,
        }
        session.close(Duration::from_secs(5)).await?;
        Ok(())
    }

    /// Takes maintenance steps until there is nothing more to do.
    async fn maintain(&self, mut finished: impl AsyncFnMut() -> Result<bool, Failure>) -> Result<(), Failure> {
        loop {
            if !self.client.tick().await?.more {
                if finished().await? {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Until no record is left.
    async fn prune(&self) -> Result<(), Failure> {
        let mut redis = self.redis.clone();
        let homes = ["{pr:0}:1:jobs", "{pr:0}:1:blocks"];
        let gone = async || Ok(redis::cmd("EXISTS").arg(&homes).query_async::<u32>(&mut redis).await? == 0);
        self.maintain(gone).await
    }
}

async fn connect(url: &str) -> Result<QueueClient, postrider_queue::QueueError> {
    QueueClient::connect(QueueConfig { shards: 1, ..QueueConfig::new(url) }).await
}

#[tokio::main]
async fn main() -> Result<ExitCode, Failure> {
    tracing_subscriber::registry()
        .with(tracing_subscriber::fmt::layer().with_target(false).without_time().with_level(false))
        .with(Targets::new().with_target("huge", tracing::Level::INFO))
        .init();
    let mut args = std::env::args().skip(1);
    let url = args.next().ok_or("usage: huge REDIS_URL [jobs] [phase]")?;
    let many: u32 = args.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let phase = args.next();
    let chosen = |name: &str| phase.as_deref().is_none_or(|phase| phase == name);
    let patient = redis::AsyncConnectionConfig::new().set_response_timeout(None);
    let redis = redis::Client::open(url.as_str())?.get_multiplexed_async_connection_with_config(&patient).await?;
    let client = connect(&url).await?;
    let slow = SlowLog::of(redis.clone()).await?;
    let mut scene = Scene { client, redis, slow, acme: Tenant::parse("acme")?, many, url };
    if chosen("jobs") {
        jobs::many(&mut scene).await?;
    }
    if chosen("batch") {
        jobs::batch(&mut scene).await?;
    }
    if chosen("cancelled") {
        jobs::cancelled(&mut scene).await?;
    }
    if chosen("cancelled-lane") {
        lanes::cancelled(&mut scene).await?;
    }
    if chosen("parked") {
        lanes::parked(&mut scene).await?;
    }
    if chosen("lanes") {
        lanes::many(&mut scene).await?;
    }
    Ok(if scene.slow.conclude().await? == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
