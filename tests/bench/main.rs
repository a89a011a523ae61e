//! `bench SCENARIO [--json] [options]`: how fast the product is, on servers of its own.

mod drain;
mod enqueue;
mod limit;
mod pipeline;
mod queue;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    },
    /// One client with 64 enqueues in flight.
    EnqueueConcurrent {
        #[arg(long, default_value_t = 50_000)]
        jobs: usize,
    },
    /// One client that hands over all jobs at once.
    EnqueueBulk {
        #[arg(long, default_value_t = 100_000)]
        jobs: usize,
    },
    /// Bulk enqueue, then one worker process until the last acknowledgement.
    Drain {
        #[arg(long, default_value_t = 100_000)]
        jobs: usize,
        #[arg(long, default_value_t = 512)]
        concurrency: usize,
    },
    /// From the delivered mail to the accepted reply, through all processes.
    Pipeline {
        #[arg(long, default_value_t = 50)]
        mails: usize,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let sync = arguments.appendfsync.as_deref();
    let report = match arguments.scenario {
        Scenario::Limit { jobs } => limit::run(jobs, sync).await,
        Scenario::EnqueueOne { jobs } => enqueue::one(jobs, sync).await,
        Scenario::EnqueueConcurrent { jobs } => enqueue::concurrent(jobs, sync).await,
        Scenario::EnqueueBulk { jobs } => enqueue::bulk(jobs, sync).await,
        Scenario::Drain { jobs, concurrency } => drain::run(jobs, concurrency, sync).await,
        Scenario::Pipeline { mails } => pipeline::run(mails).await,
    };
    report.conclude(arguments.json)
}
