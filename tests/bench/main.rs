//! `bench SCENARIO [--json] [options]`: how fast the product is, on servers of its own. `bench table` is the queue and the
//! pipeline at once, next to what Redis can do at most and to what one would use instead.

mod api;
mod backlog;
mod bed;
mod contestant;
mod corpus;
mod delayed;
mod drive;
mod driver;
mod enqueue;
mod fairness;
mod idle;
mod lanes;
mod latency;
mod lifecycle;
mod limit;
mod mailboxes;
mod parcel;
mod peers;
mod pipeline;
mod product;
mod profile;
mod redrive;
mod render;
mod rotate;
mod shards;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use contestant::Contestant;
use enqueue::Way;
use lifecycle::{Life, Plan};
use postrider_tests::Report;

/// Measures the product on servers it starts itself. Build with --release for figures that mean something.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Arguments {
    #[command(subcommand)]
    scenario: Scenario,
    /// One JSON object instead of a table.
    #[arg(long, global = true)]
    json: bool,
    /// `always` or `everysec`, instead of what deploy/redis.conf says.
    #[arg(long, global = true)]
    appendfsync: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Scenario {
    /// What this Redis can do at most.
    Limit {
        #[arg(long, default_value_t = 20_000)]
        jobs: usize,
    },
    /// One client that awaits every enqueue.
    EnqueueOne {
        #[arg(long, default_value_t = 10_000)]
        jobs: usize,
        #[arg(long, default_value = "engine")]
        contestant: Contestant,
    },
    /// One client with 64 enqueues in flight.
    EnqueueConcurrent {
        #[arg(long, default_value_t = 50_000)]
        jobs: usize,
        #[arg(long, default_value_t = 64)]
        in_flight: usize,
        #[arg(long, default_value = "engine")]
        contestant: Contestant,
    },
    /// One client that hands over all jobs at once; then bare workers until the last acknowledgement; and the memory that
    /// both leave. With a profile of what Redis did, per job.
    #[command(visible_aliases = ["enqueue-bulk", "memory"])]
    Life {
        #[arg(long, default_value_t = 100_000)]
        jobs: usize,
        #[arg(long, default_value_t = 512)]
        concurrency: usize,
        #[arg(long, default_value_t = 1)]
        processes: usize,
        #[arg(long, default_value_t = 1)]
        tenants: usize,
        #[arg(long, default_value = "engine")]
        contestant: Contestant,
    },
    /// The product: bulk enqueue, then one worker process of it until the last acknowledgement.
    Drain {
        #[arg(long, default_value_t = 100_000)]
        jobs: usize,
        #[arg(long, default_value_t = 512)]
        concurrency: usize,
    },
    /// The drain at the head of many waiting jobs, against that of 10,000.
    Backlog {
        #[arg(long, default_value_t = 1_000_000)]
        waiting: usize,
    },
    /// The drain of 10,000 jobs beside many that wait for a time, against the same without them.
    Delayed {
        #[arg(long, default_value_t = 10_000_000)]
        delayed: usize,
    },
    /// Many lanes with caps against one lane without.
    Lanes {
        #[arg(long, default_value_t = 10_000)]
        lanes: usize,
        #[arg(long, default_value_t = 100_000)]
        jobs: usize,
    },
    /// A flood of one tenant beside many tenants with one job each, and beside many lanes of its own; and the shares of tenants with
    /// weights.
    Fairness {
        #[arg(long, default_value_t = 1_000_000)]
        jobs: usize,
        #[arg(long, default_value_t = 1_000)]
        tenants: u32,
    },
    /// Shards on several Redis servers against one.
    Shards {
        #[arg(long, default_value_t = 2)]
        servers: usize,
        #[arg(long, default_value_t = 200_000)]
        jobs: usize,
    },
    /// Idle, one job every 20 ms: from the enqueue to the start of its handler in another process.
    Latency {
        #[arg(long, default_value_t = 500)]
        jobs: usize,
        #[arg(long, default_value = "engine")]
        contestant: Contestant,
    },
    /// The API in a process of its own: `POST /v1/jobs` against the engine's own enqueue, thousands of clients that wait for a
    /// job each, pages of a long list.
    Api(api::Options),
    /// From the delivered mail to the accepted reply, through all processes.
    Pipeline {
        #[arg(long, default_value_t = 50)]
        mails: usize,
    },
    /// The committed mails and documents through the whole product: items right, by kind.
    Corpus(corpus::Options),
    /// Dead letters: from Redis to the database, and back to the queue by a filter.
    Redrive {
        #[arg(long, default_value_t = 100_000)]
        letters: usize,
        #[arg(long, default_value = "both")]
        database: redrive::Databases,
    },
    /// All secrets sealed with a new key, while their passwords are changed through the API.
    Rotate {
        #[arg(long, default_value_t = 100_000)]
        values: usize,
        #[arg(long, default_value = "both")]
        database: redrive::Databases,
    },
    /// Quotes as PDF on one core, in each language of India's customers; needs no server.
    Render {
        /// Quotes of each language.
        #[arg(long, default_value_t = 200)]
        times: usize,
        /// Lines of each; up to six fit on one page.
        #[arg(long, default_value_t = 5)]
        lines: usize,
        /// The core, as `taskset` counts.
        #[arg(long, default_value_t = 0)]
        core: u32,
    },
    /// From the delivery of a mail to the start of the job that reads it, over IDLE, in the sandbox and in Dovecot.
    Idle {
        #[arg(long, default_value_t = 100)]
        mails: usize,
    },
    /// Many mailboxes, each read at its interval by one worker on two cores: how late polls start, and the worker's memory.
    Mailboxes(mailboxes::Options),
    /// The queue and the pipeline: with every contestant in rotation, medians, ratios, promises. Scenarios that are not in it: api,
    /// corpus, delayed, fairness, idle, mailboxes, redrive, render, rotate.
    Table(table::Options),
    /// Plays a contestant in a process of its own.
    #[command(hide = true)]
    Drive {
        contestant: Contestant,
        #[command(flatten)]
        order: drive::Order,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let sync = arguments.appendfsync.as_deref();
    if let Scenario::Table(options) = arguments.scenario {
        return table::run(options, arguments.json).await;
    }
    match measure(arguments.scenario, sync).await {
        Some(report) => report.conclude(arguments.json),
        None => ExitCode::SUCCESS,
    }
}

async fn measure(scenario: Scenario, sync: Option<&str>) -> Option<Report> {
    let report = match scenario {
        Scenario::Limit { jobs } => limit::run(jobs, sync).await,
        Scenario::EnqueueOne { jobs, contestant } => enqueue::run(contestant, Way::One, jobs, sync).await,
        Scenario::EnqueueConcurrent { jobs, in_flight, contestant } => {
            enqueue::run(contestant, Way::Concurrent { in_flight }, jobs, sync).await
        }
        Scenario::Life { jobs, concurrency, processes, tenants, contestant } => {
            let plan = Plan { processes, concurrency, tenants, ..Plan::new(contestant, jobs) };
            Life::live(plan, sync).await.report("life", plan)
        }
        Scenario::Drain { jobs, concurrency } => product::run(jobs, concurrency, sync).await,
        Scenario::Backlog { waiting } => backlog::run(waiting, sync).await,
        Scenario::Delayed { delayed } => delayed::run(delayed, sync).await,
        Scenario::Lanes { lanes, jobs } => lanes::run(lanes, jobs, sync).await,
        Scenario::Fairness { jobs, tenants } => fairness::run(jobs, tenants, sync).await,
        Scenario::Shards { servers, jobs } => shards::run(servers, jobs, sync).await,
        Scenario::Latency { jobs, contestant } => latency::run(contestant, jobs, sync).await,
        Scenario::Api(options) => api::run(options, sync).await,
        Scenario::Pipeline { mails } => pipeline::run(mails).await,
        Scenario::Corpus(options) => corpus::run(options).await,
        Scenario::Idle { mails } => idle::run(mails).await,
        Scenario::Mailboxes(options) => mailboxes::run(options).await,
        Scenario::Redrive { letters, database } => redrive::run(letters, database, sync).await,
        Scenario::Rotate { values, database } => rotate::run(values, database).await,
        Scenario::Render { times, lines, core } => render::run(times, lines, core),
        Scenario::Drive { contestant, order } => {
            drive::run(contestant, order).await;
            return None;
        }
        Scenario::Table(_) => return None, // has pages of its own
    };
    Some(report)
}
