//! `postrider-shards`: where the queue's shards live, and moving one to another server while everything runs.
//!
//! It speaks to Redis itself, because it is for the operator of the servers, not for a caller of the API.

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use postrider_queue::QueueClient;
use postrider_shared::config::{RedisConfig, Settings};

/// Shows and changes on which Redis server each shard of the queue lives. Reads `REDIS_URL` and `QUEUE_SHARDS`.
#[derive(Debug, Parser)]
#[command(name = "postrider-shards")]
struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// The server of each shard, by its place in `REDIS_URL`, from 0.
    List,
    /// Moves a shard. Its running jobs may end first; it takes no writes while it is copied. Run it again if it was killed.
    Move {
        /// The shard's number.
        shard: u16,
        /// The server's place in `REDIS_URL`, from 0.
        to: usize,
        /// How long running jobs may take to end before the shard stays where it is.
        #[arg(long, default_value_t = 60)]
        patience_seconds: u64,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse().action).await {
        Ok(text) => {
            let _ = writeln!(io::stdout().lock(), "{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("postrider-shards: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(action: Action) -> Result<String, Box<dyn Error>> {
    let config: RedisConfig = Settings::load().read()?;
    let queue = QueueClient::connect_when_loaded(config.queue()).await?;
    match action {
        Action::List => {
            let lines = (0..queue.shards()).map(|shard| format!("shard {shard} server {}", queue.home_of(shard)));
            Ok(lines.collect::<Vec<_>>().join("\n"))
        }
        Action::Move { shard, to, patience_seconds } => {
            let moved = queue.move_shard(shard, to, Duration::from_secs(patience_seconds)).await?;
            Ok(format!(
                "shard {shard} lives on server {to}: {} keys copied, {:.2} s without writes",
                moved.keys,
                moved.closed_for.as_secs_f64()
            ))
        }
    }
}
