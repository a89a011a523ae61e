//! The other side of [`crate::driver`]: `bench drive CONTESTANT ROLE …` plays a contestant in a process of its own.
//!
//! It says `ready` when it is connected and has prepared what is not to be measured, starts at `go`, and ends with one JSON
//! object. A worker works until `stop`, or until whoever started it is gone.

pub mod engine;
pub mod stock;

use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::contestant::Contestant;

/// What a driver is asked to do. Scripts of other languages take the same flags.
#[derive(Debug, Clone, Args)]
pub struct Order {
    pub role: Role,
    #[arg(long)]
    pub url: String,
    #[arg(long, default_value_t = 0)]
    pub jobs: u32,
    /// Number of the first job.
    #[arg(long, default_value_t = 0)]
    pub first: u32,
    #[arg(long, default_value_t = 64)]
    pub in_flight: usize,
    /// Jobs a worker runs at a time.
    #[arg(long, default_value_t = 64)]
    pub concurrency: usize,
    #[arg(long, default_value_t = 1)]
    pub tenants: u32,
    /// Lanes with a scope each; 0 for the default lane.
    #[arg(long, default_value_t = 0)]
    pub lanes: u32,
    #[arg(long, default_value_t = 20)]
    pub every_ms: u64,
    /// Where a worker notes what it ran.
    #[arg(long)]
    pub runs: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Enqueues one after the other.
    One,
    /// Enqueues with several in flight.
    Concurrent,
    /// Enqueues in bulk.
    Bulk,
    /// Enqueues one every few milliseconds.
    Trickle,
    /// Works until told to stop.
    Work,
}

pub async fn run(contestant: Contestant, order: Order) {
    let console = Console::open();
    match contestant {
        Contestant::Engine => engine::run(order, console).await,
        Contestant::Stock => stock::run(order, console).await,
        Contestant::Limit | Contestant::Bullmq => panic!("{} is not driven by this program", contestant.name()),
    }
}

/// Runs a worker until it is told to stop: in a task of its own, because the main thread is none of the runtime's, and to wake
/// what waits there is a change of threads.
async fn until_stopped<E: std::fmt::Debug + Send + 'static>(
    worker: impl Future<Output = Result<(), E>> + Send + 'static,
    console: &mut Console,
) {
    let mut running = JoinSet::new();
    running.spawn(worker);
    tokio::select! {
        ended = running.join_next() => panic!("the worker works until it is stopped: {ended:?}"),
        () = console.until("stop") => {}
    }
    running.shutdown().await;
}

/// Words to and from whoever started this process.
pub struct Console(mpsc::UnboundedReceiver<String>);

impl Console {
    fn open() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self(receiver)
    }

    fn say(line: &str) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }

    /// Says that everything is prepared and waits for the word to start.
    pub async fn start(&mut self) -> Instant {
        Self::say("ready");
        self.until("go").await;
        Instant::now()
    }

    /// Waits for a word; the end of input is every word.
    pub async fn until(&mut self, word: &str) {
        while let Some(line) = self.0.recv().await {
            if line == word {
                return;
            }
        }
    }

    /// The last line.
    pub fn finish(started: Instant) {
        Self::say(&serde_json::json!({ "seconds": started.elapsed().as_secs_f64() }).to_string());
    }
}
