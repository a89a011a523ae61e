//! A worker process of the drill: claims, sends to the provider, says what became of the unit. Killed at any moment.

use std::sync::Arc;
use std::time::Duration;

use apalis::prelude::WorkerBuilder;
use chrono::DateTime;
use postrider_queue::{
    Backoff, CapUse, Claimed, Done, Job, JobKind, Lane, Outcome, Policy, QueueBackend, QueueClient, QueueConfig,
    QueueName, Stop, WorkerConfig,
};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

/// Written to the log when it is about to work.
pub const READY: &str = "sender is ready";
/// How long its session outlives it.
pub const TTL: Duration = Duration::from_secs(3);
const CONCURRENCY: usize = 16;

/// One send of an account.
#[derive(Debug, Serialize, Deserialize)]
pub struct Send {
    pub account: usize,
    pub lane: Lane,
}

impl Job for Send {
    const KIND: JobKind = JobKind::new("send");
    const QUEUE: QueueName = QueueName::new("sending");
    const MAX_ATTEMPTS: u32 = 50;
    const BACKOFF: Backoff = Backoff { base: Duration::from_millis(1), factor: 1.0, max: Duration::from_millis(1) };
    // A jump of the clock is no reason to forget; but what is done is of no use here.
    const KEEP: Duration = Duration::from_mins(1);

    fn lane(&self) -> Lane {
        self.lane.clone()
    }
}

/// Runs until it is killed.
pub async fn run(redis: &str, provider: &str) {
    let client = QueueClient::connect(QueueConfig::new(redis)).await.expect("connect to the queue");
    let config = WorkerConfig::new(vec![Send::QUEUE], CONCURRENCY).session_ttl(TTL).take_suspects();
    let policies = |kind: &str| (kind == Send::KIND.as_str()).then(Policy::of::<Send>);
    let backend = QueueBackend::new(&client, config, Arc::new(policies));
    let provider = Arc::new(Connections { address: provider.to_owned(), idle: Mutex::default() });
    let worker = WorkerBuilder::new("sender").backend(backend).build(move |claimed: Claimed| {
        let provider = Arc::clone(&provider);
        async move { send(&provider, &claimed).await }
    });
    {
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr().lock(), "{READY}");
    }
    worker.run().await.expect("the sender goes on for ever");
}

async fn send(provider: &Connections, claimed: &Claimed) -> Outcome {
    let send: Send = serde_json::from_slice(&claimed.payload).map_err(Stop::fail)?;
    match provider.ask(&format!("{} {}\n", send.account, claimed.id)).await {
        Ok(answer) => match answer.parse().ok().and_then(DateTime::from_timestamp_millis) {
            Some(at) => Ok(Done::empty().cap(CapUse::Used(at))),
            None => Err(Stop::retry("refused").with_cap(CapUse::NotUsed)),
        },
        // It may have been accepted: never again, and the unit stays charged.
        Err(error) => Err(Stop::fail(format_args!("unknown: {error}")).with_cap(CapUse::Unknown)),
    }
}

/// Connections to the provider; each carries one question at a time.
struct Connections {
    address: String,
    idle: Mutex<Vec<BufReader<TcpStream>>>,
}

impl Connections {
    async fn ask(&self, question: &str) -> std::io::Result<String> {
        let idle = self.idle.lock().await.pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => BufReader::new(TcpStream::connect(&self.address).await?),
        };
        connection.write_all(question.as_bytes()).await?;
        let mut answer = String::new();
        if connection.read_line(&mut answer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        self.idle.lock().await.push(connection);
        Ok(answer.trim().to_owned())
    }
}
