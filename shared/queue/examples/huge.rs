//! Whether every call stays short when everything is huge: so many jobs due at once, held by one dead session, dead, finished,
//! and a tenth as many lanes with limits. Ends with 1 if a call took more than 5 ms by Redis's own slow log.
//!
//! ```text
//! cargo run --release -p postrider-queue --example huge redis://127.0.0.1:6390 [jobs, default 1,000,000]
//! ```
//! It fills and empties the Redis it is given, so give it an empty one (with some GB), and a quiet machine: the slow log knows
//! wall time only.

use std::{process::ExitCode, sync::Arc, time::Duration};

use apalis_core::worker::builder::WorkerBuilder;
use chrono::{DateTime, TimeDelta};
use futures::{StreamExt, TryStreamExt, stream};
use postrider_queue::{
    CapSpec, Claimed, Done, Job, JobKind, Lane, LaneName, ListFilter, NewJob, Outcome, Policy, QueueBackend,
    QueueClient, QueueConfig, QueueName, ScopeKey, ScopeLimits, Stop, Tenant, Window, WorkerConfig,
};
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};
use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

type Failure = Box<dyn std::error::Error>;

/// A call may take so long.
const LIMIT_MICROS: u64 = 5_000;

#[derive(Serialize, Deserialize)]
struct Letter {
    text: String,
    fails: bool,
}

impl Job for Letter {
    const KIND: JobKind = JobKind::new("letter");
    const QUEUE: QueueName = QueueName::new("letters");
    const KEEP: Duration = Duration::from_secs(1);
}

/// Takes what waits out of a lane as if a session had claimed it that died.
const DIE: &str = "
local p = string.sub(KEYS[1], 1, -5)
local ids = redis.call('LPOP', p .. 'lane:1', 256)
if not ids then return 0 end
for _, id in ipairs(ids) do
  local raw = redis.call('HGET', KEYS[1], id)
  redis.call('HSET', KEYS[1], id, string.sub(raw, 1, 1) .. 'r' .. string.sub(raw, 3))
end
redis.call('SADD', p .. 'held:deceased', unpack(ids))
redis.call('HINCRBY', p .. 'counts', 'letters:a', -#ids)
redis.call('HINCRBY', p .. 'counts', 'letters:r', #ids)
if redis.call('EXISTS', p .. 'lane:1') == 0 then
  redis.call('DEL', p .. 'ring:letters', p .. 'tenant:letters:acme')
  redis.call('HINCRBY', p .. 'counts', 'letters:l', -1)
  redis.call('ZADD', p .. 'sessions', 1, 'deceased')
end
return #ids";

/// The calls over a millisecond since the last look.
struct SlowLog {
    redis: MultiplexedConnection,
    too_long: usize,
}

impl SlowLog {
    async fn tell(&mut self, phase: &str) -> Result<(), Failure> {
        let entries: Vec<Vec<redis::Value>> =
            redis::cmd("SLOWLOG").arg("GET").arg(-1).query_async(&mut self.redis).await?;
        let mut micros: Vec<u64> = Vec::new();
        for entry in entries {
            // Saving the log in the background is no call.
            if let (Some(redis::Value::Int(took)), Some(redis::Value::Array(words))) = (entry.get(2), entry.get(3))
                && matches!(words.first(), Some(redis::Value::BulkString(word)) if word == b"EVALSHA")
            {
                micros.push(took.unsigned_abs());
            }
        }
        let over = micros.iter().filter(|took| **took > LIMIT_MICROS).count();
        self.too_long += over;
        let longest = micros.iter().max().copied().unwrap_or(1_000);
        tracing::info!("{phase:<44} longest call {longest:>6} µs, over 5 ms: {over}");
        redis::cmd("SLOWLOG").arg("RESET").exec_async(&mut self.redis).await?;
        Ok(())
    }
}

async fn drain(client: &QueueClient) -> Result<(), Failure> {
    let policies = |kind: &str| (kind == Letter::KIND.as_str()).then(Policy::of::<Letter>);
    let backend = QueueBackend::new(client, WorkerConfig::new(vec![Letter::QUEUE], 256), Arc::new(policies));
    let session = backend.handle();
    let worker = WorkerBuilder::new("huge").backend(backend).build(|job: Claimed| async move {
        let letter: Letter = serde_json::from_slice(&job.payload).map_err(Stop::fail)?;
        if letter.fails { Err(Stop::fail("as asked")) } else { Outcome::from(Done::empty()) }
    });
    let empty = async {
        loop {
            let stats = client.queue(&Letter::QUEUE).await?;
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
async fn maintain(
    client: &QueueClient,
    mut finished: impl AsyncFnMut() -> Result<bool, Failure>,
) -> Result<(), Failure> {
    loop {
        let ticked = client.tick().await?;
        if !ticked.more {
            if finished().await? {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn many_jobs(client: &QueueClient, slow: &mut SlowLog, many: u32) -> Result<(), Failure> {
    let acme = Tenant::parse("acme")?;
    let (seconds, _): (i64, i64) = redis::cmd("TIME").query_async(&mut slow.redis).await?;
    let due = DateTime::from_timestamp(seconds + 10 + i64::from(many / 40_000), 0).ok_or("no such time")?;
    for first in (0..many).step_by(50_000) {
        let jobs = (first..many.min(first + 50_000)).map(|n| {
            let letter = Letter { text: "x".repeat(170), fails: n % 2 == 0 };
            Ok(NewJob::of(acme.clone(), &letter)?.run_at(due))
        });
        client.enqueue_many(jobs.collect::<Result<_, Failure>>()?).await?;
    }
    slow.tell("scheduled").await?;
    maintain(client, async || Ok(client.queue(&Letter::QUEUE).await?.scheduled == 0)).await?;
    slow.tell("all due at once, promoted").await?;
    client.list(&acme, &ListFilter::default(), None, 100).await?;
    client.queues().await?;
    slow.tell("listed and counted").await?;

    let mut die = redis::cmd("EVAL");
    die.arg(DIE).arg(1).arg("{pr:0}:1:jobs");
    while die.query_async::<u32>(&mut slow.redis).await? > 0 {}
    redis::cmd("SLOWLOG").arg("RESET").exec_async(&mut slow.redis).await?;
    maintain(client, async || Ok(client.queue(&Letter::QUEUE).await?.running == 0)).await?;
    slow.tell("all held by one dead session, rescued").await?;

    drain(client).await?;
    slow.tell("drained, half of them dead").await?;
    loop {
        let letters = client.dead(0, 256).await?;
        if letters.is_empty() {
            break;
        }
        let ids: Vec<_> = letters.iter().map(|letter| (letter.record.id, letter.death_number)).collect();
        client.dead_archived(&ids).await?;
    }
    slow.tell("dead letters archived").await?;
    let mut redis = slow.redis.clone();
    maintain(client, async || Ok(redis::cmd("HLEN").arg("{pr:0}:1:jobs").query_async::<u32>(&mut redis).await? == 0))
        .await?;
    slow.tell("records pruned").await
}

async fn many_lanes(client: &QueueClient, slow: &mut SlowLog, lanes: u32) -> Result<(), Failure> {
    let acme = Tenant::parse("acme")?;
    let starts_at = DateTime::UNIX_EPOCH;
    let window = Window { starts_at, ends_at: starts_at + TimeDelta::days(40_000), used_before: 0 };
    let limits = ScopeLimits::caps(vec![CapSpec::calendar(1_000_000, vec![window])]);
    stream::iter(0..lanes)
        .map(|n| {
            let (acme, limits) = (&acme, &limits);
            async move {
                client.define_scope(acme, &ScopeKey::parse(format!("scope-{n}"))?, limits).await?;
                Ok::<(), Failure>(())
            }
        })
        .buffer_unordered(64)
        .try_collect::<Vec<()>>()
        .await?;
    for first in (0..lanes).step_by(50_000) {
        let jobs = (first..lanes.min(first + 50_000)).flat_map(|n| [n, n]).map(|n| {
            let letter = Letter { text: "x".repeat(170), fails: false };
            let mut job = NewJob::of(acme.clone(), &letter)?;
            let scope = ScopeKey::parse(format!("scope-{n}"))?;
            job.lane = Lane::with_scopes(LaneName::parse(format!("lane-{n}"))?, vec![scope]);
            Ok(job)
        });
        client.enqueue_many(jobs.collect::<Result<_, Failure>>()?).await?;
    }
    slow.tell("scopes defined, lanes filled").await?;
    client.queues().await?;
    drain(client).await?;
    slow.tell("lanes drained").await
}

#[tokio::main]
async fn main() -> Result<ExitCode, Failure> {
    tracing_subscriber::registry()
        .with(tracing_subscriber::fmt::layer().with_target(false).without_time())
        .with(Targets::new().with_target("huge", tracing::Level::INFO))
        .init();
    let mut args = std::env::args().skip(1);
    let url = args.next().ok_or("usage: huge REDIS_URL [jobs]")?;
    let many: u32 = args.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let mut redis = redis::Client::open(url.as_str())?.get_multiplexed_async_connection().await?;
    for (setting, value) in [("slowlog-log-slower-than", 1_000), ("slowlog-max-len", 100_000)] {
        redis::cmd("CONFIG").arg("SET").arg(setting).arg(value).exec_async(&mut redis).await?;
    }
    let client = QueueClient::connect(QueueConfig { shards: 1, ..QueueConfig::new(url) }).await?;
    let mut slow = SlowLog { redis, too_long: 0 };
    many_jobs(&client, &mut slow, many).await?;
    many_lanes(&client, &mut slow, many / 10).await?;
    Ok(if slow.too_long == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
