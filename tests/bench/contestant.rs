//! Who takes part: the engine itself, and what one would use instead.

use std::process::Stdio;

use clap::ValueEnum;
use postrider_queue::{Job as _, QueueClient, QueueConfig};
use redis::aio::MultiplexedConnection;

use crate::bed::Bed;
use crate::drive::stock;
use crate::parcel::Parcel;
use crate::peers;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Contestant {
    /// What this Redis can do at most with the same bytes.
    Limit,
    /// `postrider-queue` in a bare worker.
    Engine,
    /// `BullMQ`, driven by tests/bench/peers.
    Bullmq,
    /// `apalis_redis::RedisStorage` as it is.
    Stock,
}

impl Contestant {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Engine => "engine",
            Self::Bullmq => "bullmq",
            Self::Stock => "stock",
        }
    }

    /// The program that plays its part, in a process of its own; it takes the same arguments for all.
    pub fn driver(self) -> tokio::process::Command {
        let mut command = if self == Self::Bullmq {
            let missing = peers::bullmq_missing();
            assert!(missing.is_none(), "BullMQ cannot take part: {}", missing.unwrap_or_default());
            let mut node = tokio::process::Command::new("node");
            node.arg(peers::script());
            node
        } else {
            let own = std::env::current_exe().expect("know the own path");
            let mut bench = tokio::process::Command::new(own);
            bench.args(["drive", self.name()]);
            bench
        };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// The stock storage fails from about 8,000 due jobs on, so it never gets more than this at once.
    pub fn at_once(self, jobs: usize) -> usize {
        if self == Self::Stock { jobs.min(5_000) } else { jobs }
    }

    pub async fn gauge(self, bed: &Bed) -> Gauge {
        match self {
            Self::Engine => Gauge::Engine(bed.client().await),
            Self::Bullmq => Gauge::Keys {
                redis: bed.redis.connection().await,
                waiting: ("LLEN", "bull:parcels:wait".to_owned()),
                finished: ("ZCARD", "bull:parcels:completed".to_owned()),
            },
            Self::Stock => {
                let config = stock::config(1);
                Gauge::Keys {
                    redis: bed.redis.connection().await,
                    waiting: ("ZCARD", config.scheduled_jobs_set()),
                    finished: ("SCARD", config.done_jobs_set()),
                }
            }
            Self::Limit => panic!("the limit has no queue to look at"),
        }
    }
}

/// Looks from outside how many jobs a contestant's queue keeps.
#[derive(Debug, Clone)]
pub enum Gauge {
    Engine(QueueClient),
    Keys { redis: MultiplexedConnection, waiting: (&'static str, String), finished: (&'static str, String) },
}

impl Gauge {
    pub async fn waiting(&self) -> usize {
        match self {
            Self::Engine(client) => count(client.queue(&Parcel::QUEUE).await.expect("look at the queue").available),
            Self::Keys { redis, waiting, .. } => ask(redis, waiting).await,
        }
    }

    pub async fn finished(&self) -> usize {
        match self {
            Self::Engine(client) => count(client.queue(&Parcel::QUEUE).await.expect("look at the queue").completed),
            Self::Keys { redis, finished, .. } => ask(redis, finished).await,
        }
    }
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

async fn ask(redis: &MultiplexedConnection, (command, key): &(&'static str, String)) -> usize {
    redis::cmd(command).arg(key).query_async(&mut redis.clone()).await.expect("count")
}

pub async fn connect(url: &str) -> QueueClient {
    QueueClient::connect(QueueConfig::new(url)).await.expect("connect to the queue")
}
