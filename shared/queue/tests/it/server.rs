//! A private redis-server per test, and waiting for what it says.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use postrider_queue::{
    Backoff, Claimed, Done, JobId, JobRecord, JobState, Lane, NewJob, Outcome, Policy, QueueBackend, QueueClient,
    QueueConfig, QueueName, RetryPolicy, SessionHandle, Stop, Tenant, WorkerConfig,
};

use crate::ports::free_port;

/// Nothing in these tests may take longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) dir: tempfile::TempDir,
    child: Option<Child>,
    faked: bool,
    /// Arguments beside the usual ones.
    more: Vec<String>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::launch(false, &[]).await
    }

    /// With further settings, which win.
    pub(crate) async fn start_with(more: &[&str]) -> Self {
        Self::launch(false, more).await
    }

    /// A server whose clock shows this time now and goes on from there; see [`set_clock`](Self::set_clock).
    pub(crate) async fn start_at(time: &str) -> Self {
        let server = Self::launch(true, &[]).await;
        server.set_clock(time);
        server
    }

    async fn launch(faked: bool, more: &[&str]) -> Self {
        let more = more.iter().map(ToString::to_string).collect();
        let mut server = Self { port: free_port(), dir: tempfile::tempdir().unwrap(), child: None, faked, more };
        server.up().await;
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Starts it (again) with the data it left.
    pub(crate) async fn up(&mut self) {
        self.begin();
        let client = redis::Client::open(self.url()).unwrap();
        until("redis-server answers", || async {
            let mut connection = client.get_multiplexed_async_connection().await.ok()?;
            let answer = redis::cmd("PING").query_async::<redis::Value>(&mut connection).await;
            match answer {
                Err(error) if error.code() != Some("NOAUTH") => None,
                _ => Some(()),
            }
        })
        .await;
    }

    /// From its next start on it needs this long for each command in its log.
    pub(crate) fn slow_loading(&mut self, delay: Duration) {
        self.more.extend(["--key-load-delay".to_owned(), delay.as_micros().to_string()]);
    }

    /// As [`up`](Self::up), without waiting until it answers.
    pub(crate) fn begin(&mut self) {
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
            .args(["--appendfsync", "everysec", "--maxmemory", "1gb", "--maxmemory-policy", "noeviction"])
            .args(["--repl-diskless-sync-delay", "0"])
            .args(["--dir", &self.dir.path().display().to_string()])
            .args(&self.more)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if self.faked {
            self.set_clock("+0");
            command
                .env("LD_PRELOAD", faketime_libraries())
                .env("FAKETIME_TIMESTAMP_FILE", self.clock_file())
                .env("FAKETIME_NO_CACHE", "1")
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
                .env("TZ", "UTC");
        }
        self.child = Some(command.spawn().expect("redis-server is installed"));
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn clock_file(&self) -> PathBuf {
        self.dir.path().join("clock")
    }

    /// Moves the clock: `@2026-03-29 00:59:00` and on from there, or an offset.
    pub(crate) fn set_clock(&self, time: &str) {
        let next = self.dir.path().join("clock.next");
        std::fs::write(&next, format!("{time}\n")).unwrap();
        std::fs::rename(next, self.clock_file()).unwrap(); // never half a time
    }

    /// A client of a queue with one shard.
    pub(crate) async fn client(&self) -> QueueClient {
        self.client_with(1).await
    }

    pub(crate) async fn client_with(&self, shards: u16) -> QueueClient {
        QueueClient::connect(QueueConfig::new(self.url()).shards(shards)).await.unwrap()
    }

    /// A connection of the test's own. It is patient: the client library would give up an answer after half a second, which
    /// is little on a busy machine.
    pub(crate) async fn redis(&self) -> redis::aio::MultiplexedConnection {
        let patient = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let client = redis::Client::open(self.url()).unwrap();
        client.get_multiplexed_async_connection_with_config(&patient).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What is preloaded to move the clock. The C library follows, so that its allocator goes before jemalloc, which asks for
/// the time while it starts and would wait for libfaketime for ever.
fn faketime_libraries() -> String {
    let machine = std::env::consts::ARCH;
    let faketime = format!("/usr/lib/{machine}-linux-gnu/faketime/libfaketimeMT.so.1");
    assert!(std::path::Path::new(&faketime).exists(), "the package faketime is installed");
    format!("{faketime}:/lib/{machine}-linux-gnu/libc.so.6")
}

/// Waits until `look` sees something.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let started = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn until_state(client: &QueueClient, id: JobId, state: JobState) -> JobRecord {
    until(&format!("{id} is {state}"), || async {
        client.get(id).await.unwrap().filter(|record| record.state == state)
    })
    .await
}

/// Waits until so many jobs are completed, as long as it goes on: how fast that is, is the machine's affair.
pub(crate) async fn until_completed(client: &QueueClient, many: u64) {
    let (mut seen, mut since) = (0, Instant::now());
    while seen < many {
        let completed = client.queue(&WORK).await.unwrap().completed;
        if completed > seen {
            (seen, since) = (completed, Instant::now());
        }
        assert!(since.elapsed() < PATIENCE, "{seen} of {many} jobs are completed, and no more");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn until_parked(client: &QueueClient) {
    until("the lane is parked and nothing runs", || async {
        let stats = client.queue(&WORK).await.unwrap();
        (stats.parked_lanes == 1 && stats.running == 0).then_some(())
    })
    .await;
}

pub(crate) fn tenant(name: &str) -> Tenant {
    Tenant::parse(name).unwrap()
}

pub(crate) const WORK: QueueName = QueueName::new("work");

/// A job of the kind `echo`.
pub(crate) fn job(of: &str) -> NewJob {
    NewJob {
        tenant: tenant(of),
        id: None,
        kind: postrider_queue::JobKind::new("echo"),
        queue: WORK,
        lane: Lane::default(),
        priority: postrider_queue::Priority::Normal,
        payload: br#"{"n":1}"#.to_vec(),
        run_at: None,
        max_attempts: 3,
        keep: Duration::from_hours(1),
        unique_key: None,
        unique_for: postrider_queue::UniqueFor::default(),
        idempotency_key: None,
        links: postrider_queue::Links::default(),
        recipient: None,
    }
}

/// The policy of every kind in these tests: retried at once.
#[expect(clippy::unnecessary_wraps, reason = "the shape of a policy look-up")]
pub(crate) fn policy(_kind: &str) -> Option<Policy> {
    Some(Policy {
        retry: RetryPolicy {
            max_attempts: 3,
            backoff: Backoff { base: Duration::ZERO, factor: 1.0, max: Duration::ZERO },
        },
        timeout: Duration::from_mins(1),
        max_snoozes: 2,
    })
}

/// A worker as apalis runs it, in this process.
pub(crate) struct Worker {
    pub(crate) handle: SessionHandle,
    task: tokio::task::JoinHandle<Result<(), apalis_core::error::WorkerError>>,
    context: tokio::sync::watch::Sender<bool>,
}

pub(crate) fn config(concurrency: usize) -> WorkerConfig {
    WorkerConfig::new(vec![WORK], concurrency)
}

/// Starts a worker that runs `handler` for every job.
#[expect(clippy::disallowed_methods, reason = "tests hold the handle and end it")]
pub(crate) fn work<F, Fut>(client: &QueueClient, config: WorkerConfig, handler: F) -> Worker
where
    F: Fn(Claimed) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Outcome> + Send + 'static,
{
    let backend = QueueBackend::new(client, config, Arc::new(policy));
    let handle = backend.handle();
    let handler = Arc::new(handler);
    let (context, mut stop) = tokio::sync::watch::channel(false);
    let worker =
        apalis_core::worker::builder::WorkerBuilder::new("test").backend(backend).build(move |claimed: Claimed| {
            let handler = Arc::clone(&handler);
            async move { (*handler)(claimed).await }
        });
    let task = tokio::spawn(worker.run_until(async move {
        let _ = stop.wait_for(|stop| *stop).await;
        Ok::<(), std::io::Error>(())
    }));
    Worker { handle, task, context }
}

impl Worker {
    /// Stops like a deploy does: no new jobs, running ones may end.
    pub(crate) async fn stop(self) {
        let _ = self.context.send(true);
        tokio::time::timeout(PATIENCE, self.task).await.expect("the worker ends").unwrap().unwrap();
        self.handle.close(PATIENCE).await.unwrap();
    }

    /// Drops it with its backend, and waits for nothing.
    pub(crate) async fn drop_it(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// Handlers are dropped where they are, and what is held goes back.
    pub(crate) async fn abort(self) {
        self.task.abort();
        let _ = self.task.await;
        self.handle.close(PATIENCE).await.unwrap();
    }
}

pub(crate) fn done() -> Outcome {
    Done::empty().into()
}

pub(crate) fn retry() -> Outcome {
    Err(Stop::retry("not today"))
}
