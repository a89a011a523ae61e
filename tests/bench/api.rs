//! The API as a process of its own, with its own settings but for higher rate limits, on SQLite and a Redis with
//! `deploy/redis.conf`: what `POST /v1/jobs` costs over the engine's own enqueue, how soon thousands of waiters hear of a job's
//! end, and how long pages of a long list take.

mod listing;
mod load;
mod process;
mod submit;
mod waiters;

use clap::ValueEnum;
use postrider_tests::{DatabaseKind, Platform, Report};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    Submit,
    Wait,
    List,
}

#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Only these parts.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Requests of each measurement of submitting.
    #[arg(long, default_value_t = 50_000)]
    requests: u32,
    #[arg(long, default_value_t = 64)]
    connections: u32,
    /// How often the measurements of submitting take turns.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Clients that wait, half of them by long-poll, half by server-sent events.
    #[arg(long, default_value_t = 10_000)]
    waiters: usize,
    /// Jobs that end each second while they wait.
    #[arg(long, default_value_t = 1_000)]
    ends_per_second: u32,
    /// Jobs in the list.
    #[arg(long, default_value_t = 1_000_000)]
    jobs: usize,
}

/// The product with nothing but its API, and room for a million jobs and for whoever measures.
async fn platform(appendfsync: Option<&str>) -> Platform {
    let wide = "1000000/s burst 1000000";
    let mut builder = Platform::with(DatabaseKind::Sqlite)
        .workers(0)
        .schedulers(0)
        .setting("RATE_LIMIT_ADDRESS", &wide)
        .setting("RATE_LIMIT_CALLER", &wide)
        .setting("RATE_LIMIT_READS", &wide)
        .setting("RATE_LIMIT_WRITES", &wide)
        .setting("RATE_LIMIT_ENQUEUES", &wide)
        .setting("RATE_LIMIT_PROCESS", &wide)
        .setting("MAX_CONNECTIONS_PER_ADDRESS", &20_000)
        .redis_setting("maxmemory", "4gb");
    if let Some(sync) = appendfsync {
        builder = builder.redis_setting("appendfsync", sync);
    }
    builder.start().await
}

pub async fn run(options: Options, appendfsync: Option<&str>) -> Report {
    process::raise_handles();
    let asked = |part| options.only.is_empty() || options.only.contains(&part);
    let mut report = Report::new("api");
    if asked(Part::Submit) {
        submit::measure(&options, appendfsync, &mut report).await;
    }
    if asked(Part::Wait) {
        waiters::measure(&options, appendfsync, &mut report).await;
    }
    if asked(Part::List) {
        listing::measure(&options, appendfsync, &mut report).await;
    }
    report
}
