//! `chaos SCENARIO [--json] [--seed N] [--short]`: kills parts of the product and checks its promises against a witness
//! that is never killed.

mod answer_lost;
mod caps;
mod clients;
mod failover;
mod jobs;
mod mailbox_cap;
mod mailbox_churn;
mod pipeline_kill;
mod poison;
mod redis_kill;
mod redis_outage;
mod rolling_upgrade;
mod send_kill;
mod worker_kill;
mod worker_pause;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

/// Breaks the product on purpose, on servers it starts itself, and ends with 0 only if its promise held.
#[derive(Debug, Parser)]
#[command(name = "chaos")]
struct Arguments {
    scenario: Scenario,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Decides what is killed, and when.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A smaller run, for every test run.
    #[arg(long)]
    short: bool,
    #[arg(long, hide = true, default_value = "")]
    redis: String,
    #[arg(long, hide = true, default_value = "")]
    provider: String,
    /// For rolling-upgrade: a folder with the programs of an older build.
    #[arg(long)]
    previous: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Scenario {
    /// One of two workers is killed while it holds jobs.
    WorkerKill,
    /// Redis is killed, loses what it had not synced to disk, and is restarted.
    RedisKill,
    /// A master of which replicas confirm each job is killed; a Sentinel has a replica take over.
    Failover,
    /// One of three masters of a cluster is killed, and its replica takes over.
    FailoverCluster,
    /// A master is cut off from its replicas while callers still reach it.
    FailoverPartition,
    /// Everything but the outside world is killed, again and again, while mail comes in.
    PipelineKill,
    /// Workers are killed while they send drafts through the Gmail API.
    SendKill,
    /// A job that kills its process among many that do not, and random kills of workers.
    Poison,
    /// A worker stands still past its lease and wakes.
    WorkerPause,
    /// Calls to Redis are carried out and not answered.
    AnswerLost,
    /// Redis is away for longer than any lease, and comes back.
    RedisOutage,
    /// Accounts with caps and senders that are killed, over midnights and a change of the clocks.
    Caps,
    /// Several workers, one of them killed, and a mailbox with a small cap.
    MailboxCap,
    /// A mailbox of a Dovecot is numbered anew, expunged, restored, away, and our place in it forgotten, while mail comes in.
    MailboxChurn,
    /// A sender of `caps`, which starts it.
    #[value(hide = true)]
    CapsSender,
    /// All processes of an older build are replaced one by one under load, and back again.
    RollingUpgrade,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (seed, short) = (arguments.seed, arguments.short);
    let report = match arguments.scenario {
        Scenario::WorkerKill => worker_kill::run(seed, short).await,
        Scenario::RedisKill => redis_kill::run(seed, short).await,
        Scenario::Failover => failover::sentinel(seed, short).await,
        Scenario::FailoverCluster => failover::cluster(seed, short).await,
        Scenario::FailoverPartition => failover::cut_off(seed, short).await,
        Scenario::PipelineKill => pipeline_kill::run(seed, short).await,
        Scenario::SendKill => send_kill::run(seed, short).await,
        Scenario::Poison => poison::run(seed, short).await,
        Scenario::WorkerPause => worker_pause::run(seed, short).await,
        Scenario::AnswerLost => answer_lost::run(seed, short).await,
        Scenario::RedisOutage => redis_outage::run(seed, short).await,
        Scenario::Caps => caps::run(seed, short).await,
        Scenario::MailboxCap => mailbox_cap::run(seed, short).await,
        Scenario::MailboxChurn => mailbox_churn::run(seed, short).await,
        Scenario::CapsSender => {
            caps::sender::run(&arguments.redis, &arguments.provider).await;
            return ExitCode::SUCCESS;
        }
        Scenario::RollingUpgrade => rolling_upgrade::run(seed, short, arguments.previous.as_deref()).await,
    };
    report.conclude(arguments.json)
}
