//! API clients that submit jobs whatever happens, as a careful client does: the same request under the same key, until it
//! is accepted.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postrider_tests::Api;
use postrider_tests::client::Answer;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Between two requests of a client.
const PAUSE: Duration = Duration::from_millis(40);

/// What the clients were told.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Requests, each with a key of its own.
    pub asked: usize,
    /// Ids of the jobs that were accepted.
    pub accepted: HashSet<String>,
    /// Answers 503.
    pub unavailable: usize,
    /// Answers beside 202 and 503, and connections that broke.
    pub others: BTreeMap<String, usize>,
    /// The longest that any answer took.
    pub slowest_s: f64,
    /// When a job was accepted last.
    pub last_accepted: Option<Instant>,
}

impl Told {
    /// Notes an answer; true if it is an acceptance.
    fn note(&mut self, answer: Result<Answer, reqwest::Error>, asked: Instant) -> bool {
        self.slowest_s = self.slowest_s.max(asked.elapsed().as_secs_f64());
        match answer {
            Ok(answer) if answer.status == 202 => {
                self.accepted.insert(answer.body["id"].as_str().unwrap_or_default().to_owned());
                self.last_accepted = Some(Instant::now());
                return true;
            }
            Ok(answer) if answer.status == 503 => self.unavailable += 1,
            Ok(answer) => *self.others.entry(answer.status.to_string()).or_default() += 1,
            Err(_) => *self.others.entry("no answer".to_owned()).or_default() += 1,
        }
        false
    }
}

pub struct Clients {
    told: Arc<Mutex<Told>>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Clients {
    /// So many clients that submit sleeps of `ms` one after another.
    pub fn start(api: &Api, count: usize, ms: u64) -> Self {
        let told: Arc<Mutex<Told>> = Arc::default();
        let stop = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        for client in 0..count {
            tasks.spawn(submit(api.clone(), client, ms, Arc::clone(&told), stop.subscribe()));
        }
        Self { told, stop, tasks }
    }

    pub fn told(&self) -> Told {
        lock(&self.told).clone()
    }

    /// No new requests; each client goes on until its last one is accepted.
    ///
    /// # Panics
    /// When that does not happen in time.
    pub async fn finish(mut self) -> Told {
        self.stop.send_replace(true);
        let all = async {
            while let Some(ended) = self.tasks.join_next().await {
                ended.expect("a client");
            }
        };
        tokio::time::timeout(Duration::from_secs(60), all).await.expect("every request is accepted in the end");
        self.told()
    }
}

fn lock(told: &Mutex<Told>) -> MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn submit(api: Api, client: usize, ms: u64, told: Arc<Mutex<Told>>, stop: watch::Receiver<bool>) {
    let body = json!({ "kind": "diagnostic.sleep", "payload": { "ms": ms } });
    for number in 0.. {
        if *stop.borrow() {
            return;
        }
        lock(&told).asked += 1;
        loop {
            let key = format!("client-{client}-{number}");
            let request = api.request(reqwest::Method::POST, "/v1/jobs").header("idempotency-key", key).json(&body);
            let asked = Instant::now();
            let answer = Answer::try_of(request).await;
            if lock(&told).note(answer, asked) {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
}
