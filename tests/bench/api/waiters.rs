//! Thousands of clients that wait for a job each, half by long-poll and half by server-sent events, on one API process. The jobs
//! are ended by cancelling them, at a steady pace, so that no worker's time is in the figures.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use postrider_queue::{Cancelled, Enqueued, JobId, NewJob, QueueClient, QueueConfig, Tenant};
use postrider_shared::clock::Clock;
use postrider_shared::jobs::diagnostic::DiagnosticEcho;
use postrider_tests::wait::within;
use postrider_tests::{Platform, Report};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::load::{Connection, quantile};
use super::submit::address;
use super::{Options, platform, process};

const ASKED_MS: f64 = 50.0;
const DEADLINE: Duration = Duration::from_mins(2);

/// How an answer says that the job has ended.
const CANCELLED: &[u8] = br#""state":"cancelled""#;

pub async fn measure(options: &Options, appendfsync: Option<&str>, report: &mut Report) {
    let platform = platform(appendfsync).await;
    let tenant = platform.tenant("bench").await;
    let key = platform.key(&tenant, "viewer").await.key().expect("a key").to_owned();
    let queue = QueueClient::connect(QueueConfig::new(platform.redis().url())).await.expect("connect to the queue");
    let ids = enqueue(&platform, &queue, options.waiters).await;
    let at = address(&platform);
    let pid = platform.api_process(0).pid().expect("the API runs");
    let before = process::resident_mib(pid);

    let connected = Arc::new(AtomicUsize::new(0));
    let (mut polls, mut streams, mut ends) = (JoinSet::new(), JoinSet::new(), Vec::new());
    let opening = Instant::now();
    for (place, id) in ids.iter().enumerate() {
        let (end, ended) = oneshot::channel();
        ends.push((*id, end));
        let polls_it = place % 2 == 0;
        let what = if polls_it { format!("{id}?wait=60s") } else { format!("{id}/events") };
        let request = format!("GET /v1/jobs/{what} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\r\n");
        let waiter = waiter(at, request, polls_it, Arc::clone(&connected), ended);
        let waiters = if polls_it { &mut polls } else { &mut streams };
        waiters.spawn(waiter);
        // No more at a time than a listener's queue holds.
        within(DEADLINE, "the last connections", || async {
            (place < connected.load(Ordering::Relaxed) + 200).then_some(())
        })
        .await;
    }
    within(DEADLINE, "all connections", || async {
        (connected.load(Ordering::Relaxed) == options.waiters).then_some(())
    })
    .await;
    idle(pid).await;
    let opened = opening.elapsed();
    let waiting = process::resident_mib(pid);

    let ending = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / options.ends_per_second);
    let mut cancelling = JoinSet::new();
    for (id, end) in ends {
        ticks.tick().await;
        let queue = queue.clone();
        cancelling.spawn(async move {
            let begun = Instant::now();
            assert_eq!(queue.cancel(id).await.expect("cancel"), Cancelled::Now);
            let _ = end.send(End { begun, durable: Instant::now() });
        });
    }
    cancelling.join_all().await;
    let (polls, streams) = tokio::join!(polls.join_all(), streams.join_all());
    let took = ending.elapsed();
    platform.abandon("its jobs were cancelled");
    let all = || polls.iter().chain(&streams);
    let heard: Vec<Duration> = all().map(Heard::after_the_end).collect();
    let whole: Vec<Duration> = all().map(Heard::after_its_begin).collect();
    let writes: Vec<Duration> = all().map(|heard| heard.end.durable - heard.end.begun).collect();
    let of = |heard: &[Heard]| heard.iter().map(Heard::after_the_end).collect::<Vec<_>>();
    let (polls, streams) = (of(&polls), of(&streams));
    let waiters = f64::from(u32::try_from(options.waiters).expect("few"));
    report
        .figure("waiters", options.waiters)
        .decimal("waiters_connect_s", opened.as_secs_f64())
        .decimal("api_rss_before_mib", before)
        .decimal("api_rss_waiting_mib", waiting)
        .decimal("api_kib_per_waiter", (waiting - before) * 1024.0 / waiters)
        .decimal("ends_per_s", waiters / took.as_secs_f64())
        .decimal("end_to_long_poll_p50_ms", quantile(&polls, 50))
        .decimal("end_to_long_poll_p99_ms", quantile(&polls, 99))
        .decimal("end_to_event_p50_ms", quantile(&streams, 50))
        .decimal("end_to_event_p99_ms", quantile(&streams, 99))
        .decimal("end_to_client_max_ms", quantile(&heard, 100))
        .decimal("write_of_end_p50_ms", quantile(&writes, 50))
        .decimal("write_of_end_p99_ms", quantile(&writes, 99))
        .decimal("write_of_end_max_ms", quantile(&writes, 100))
        .decimal("with_its_write_p50_ms", quantile(&whole, 50))
        .decimal("with_its_write_p99_ms", quantile(&whole, 99))
        .must("waiters hear of an end within 50 ms (p99)", quantile(&heard, 99) <= ASKED_MS);
}

/// The end of a job as whoever ended it saw it.
#[derive(Debug, Clone, Copy)]
struct End {
    begun: Instant,
    /// When the queue had answered that it is written: until then no job is done. With `appendfsync always` this takes as long as
    /// the disk does, which at times is a third of a second.
    durable: Instant,
}

/// When a client knew of an end.
#[derive(Debug, Clone, Copy)]
struct Heard {
    at: Instant,
    end: End,
}

impl Heard {
    /// Nothing, when the client knew before whoever ended the job.
    fn after_the_end(&self) -> Duration {
        self.at.saturating_duration_since(self.end.durable)
    }

    fn after_its_begin(&self) -> Duration {
        self.at.saturating_duration_since(self.end.begun)
    }
}

/// Jobs whose time comes in an hour.
pub async fn enqueue(platform: &Platform, queue: &QueueClient, many: usize) -> Vec<JobId> {
    let listed = platform.api().get("/v1/tenants").await.expect_status(200).body;
    let id = listed["items"].as_array().and_then(|all| all.iter().find(|tenant| tenant["name"] == "bench"));
    let id = id.and_then(|tenant| tenant["id"].as_str()).expect("the tenant");
    let later = Clock::system().now() + chrono::TimeDelta::hours(1);
    let job = |number: usize| {
        let echo = DiagnosticEcho { data: serde_json::json!(number), lane: None };
        NewJob::of(Tenant::parse(id).expect("a tenant's name"), &echo).expect("a job").run_at(later)
    };
    let answers = queue.enqueue_many((0..many).map(job).collect()).await.expect("enqueue");
    answers.iter().map(Enqueued::id).collect()
}

/// Waits on a connection of its own.
async fn waiter(
    address: SocketAddr,
    request: String,
    polls: bool,
    connected: Arc<AtomicUsize>,
    ended: oneshot::Receiver<End>,
) -> Heard {
    let mut connection = Connection::open(address).await;
    connection.send(request.as_bytes()).await;
    if polls {
        connected.fetch_add(1, Ordering::Relaxed);
        loop {
            let (status, body) = connection.answer().await;
            assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
            if find(&body, CANCELLED) {
                break;
            }
            connection.send(request.as_bytes()).await; // its time was over
        }
    } else {
        // The first event is the job as it is.
        connection.until(b"event: job").await;
        connected.fetch_add(1, Ordering::Relaxed);
        connection.until(CANCELLED).await;
    }
    Heard { at: Instant::now(), end: ended.await.expect("its job was ended") }
}

fn find(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Waits until the process has little to do, because all waiters stand where they wait; at most a quarter of a minute.
async fn idle(pid: u32) {
    for _ in 0..30 {
        let before = process::cpu_seconds(pid);
        tokio::time::sleep(Duration::from_millis(500)).await;
        if process::cpu_seconds(pid) - before < 0.1 {
            return;
        }
    }
}
