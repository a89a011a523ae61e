//! `postrider-shards`: where the queue's shards live, moving one to another server while everything runs, and what the queue's
//! data may hold.
//!
//! It speaks to Redis itself, because it is for the operator of the servers, not for a caller of the API.

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use postrider_queue::{QueueClient, Unfinished};
use postrider_shared::config::{RedisConfig, Settings};

/// Shows and changes on which Redis server each shard of the queue lives, and what its data may hold. Settings are those of the
/// other processes: `REDIS_URL`, `QUEUE_SHARDS`.
#[derive(Debug, Parser)]
#[command(name = "postrider-shards", version)]
struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// The server of each shard, by its place in `REDIS_URL`, from 0; and what is left to do of a move that was cut off.
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
    /// Lets programs that start from now on place jobs where those of the version before this one do not find them. Run it after
    /// an upgrade, when none of those runs any more: it would lose such jobs. They are refused from then on, for good.
    Upgrade,
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
            let mut lines = Vec::new();
            for shard in 0..queue.shards() {
                let home = queue.home_of(shard);
                let left = match queue.unfinished_move(shard).await {
                    Ok(left) => left.map(|left| told(shard, home, left)),
                    Err(error) => Some(error.to_string()),
                };
                lines.push(format!(
                    "shard {shard} server {home}{}",
                    left.map(|left| format!(", {left}")).unwrap_or_default()
                ));
            }
            Ok(lines.join("\n"))
        }
        Action::Move { shard, to, patience_seconds } => {
            let moved = queue.move_shard(shard, to, Duration::from_secs(patience_seconds)).await?;
            Ok(format!(
                "shard {shard} lives on server {to}: {} keys copied, {:.2} s without writes",
                moved.keys,
                moved.closed_for.as_secs_f64()
            ))
        }
        Action::Upgrade => Ok(if queue.raise_protocol().await? {
            "the queue's data is of this version now; programs make use of that from their next start on".to_owned()
        } else {
            "the queue's data was of this version already".to_owned()
        }),
    }
}

/// What an operator does about a move that has not come to its end.
fn told(shard: u16, home: usize, left: Unfinished) -> String {
    match left {
        Unfinished::UnderWay => "a command is moving it".to_owned(),
        Unfinished::Left { to: Some(to) } => {
            format!("CLOSED until the move is finished: postrider-shards move {shard} {to}")
        }
        Unfinished::Left { to: None } => "CLOSED: it has left for a server that REDIS_URL does not name".to_owned(),
        Unfinished::HalfCopy { at } => {
            format!("half a copy lies on server {at}, to be deleted by: postrider-shards move {shard} {home}")
        }
    }
}
