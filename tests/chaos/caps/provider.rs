//! The provider that the senders send to, and the witness: it is never killed, and knows what it accepted and when. Its clock
//! is that of Redis.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, Utc};
use postrider_tests::platform::FakedTime;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Of so many sends one is refused, and of so many one is accepted without a word.
const REFUSED_ONE_IN: u32 = 100;
const SILENT_ONE_IN: u32 = 2_000;
/// How long before a window ends sends may be held until it has ended.
const EVE: Duration = Duration::from_secs(8);
/// From here on all of them are: also those that come again because a kill took their sender.
const LATE: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Books {
    dice: StdRng,
    time: FakedTime,
    /// The next end of a window.
    midnight: DateTime<Utc>,
    /// Account and time of what was accepted, by job.
    accepted: HashMap<String, (usize, DateTime<Utc>)>,
    /// Sends of a job that was accepted before: of one whose sender died or was taken for dead.
    asked_again: usize,
    refused: usize,
    silent: usize,
    /// Sends that began before the end of a window and were accepted after it.
    over_midnight: usize,
}

/// What the witness says in the end.
#[derive(Debug, Clone)]
pub struct Testimony {
    /// By account, in order of time.
    pub accepted: BTreeMap<usize, Vec<DateTime<Utc>>>,
    pub asked_again: usize,
    pub refused: usize,
    pub silent: usize,
    pub over_midnight: usize,
}

#[derive(Debug)]
pub struct Provider {
    pub address: String,
    books: Arc<Mutex<Books>>,
    _connections: JoinSet<()>,
}

impl Provider {
    pub async fn start(seed: u64, time: &FakedTime) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen on a free port");
        let address = listener.local_addr().expect("its address").to_string();
        let books = Arc::new(Mutex::new(Books {
            dice: StdRng::seed_from_u64(seed),
            time: time.clone(),
            midnight: DateTime::<Utc>::MAX_UTC,
            accepted: HashMap::new(),
            asked_again: 0,
            refused: 0,
            silent: 0,
            over_midnight: 0,
        }));
        let mut connections = JoinSet::new();
        let shared = Arc::clone(&books);
        connections.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((sender, _)) = listener.accept().await {
                connections.spawn(serve(sender, Arc::clone(&shared)));
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, books, _connections: connections }
    }

    /// Some of the sends right before this instant are accepted only after it.
    pub fn expect_midnight(&self, midnight: DateTime<Utc>) {
        lock(&self.books).midnight = midnight;
    }

    /// How much was accepted so far.
    pub fn accepted(&self) -> usize {
        lock(&self.books).accepted.len()
    }

    /// How much was accepted from these accounts from an instant on. Looks at everything.
    pub fn accepted_since(&self, since: DateTime<Utc>, of: impl Fn(usize) -> bool) -> usize {
        lock(&self.books).accepted.values().filter(|(account, at)| *at >= since && of(*account)).count()
    }

    pub fn testimony(&self) -> Testimony {
        let books = lock(&self.books);
        let mut accepted: BTreeMap<usize, Vec<DateTime<Utc>>> = BTreeMap::new();
        for (account, at) in books.accepted.values() {
            accepted.entry(*account).or_default().push(*at);
        }
        for times in accepted.values_mut() {
            times.sort_unstable();
        }
        Testimony {
            accepted,
            asked_again: books.asked_again,
            refused: books.refused,
            silent: books.silent,
            over_midnight: books.over_midnight,
        }
    }
}

fn lock(books: &Mutex<Books>) -> MutexGuard<'_, Books> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What becomes of a send.
enum Verdict {
    Accepted(DateTime<Utc>),
    Refused,
    Silence,
}

/// `ACCOUNT JOB` a line; answered with the time of acceptance in ms since 1970, or `refused`, or the end of the connection.
async fn serve(sender: TcpStream, books: Arc<Mutex<Books>>) {
    let (reading, mut writing) = sender.into_split();
    let mut lines = BufReader::new(reading).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Some((account, job)) = line.split_once(' ') else { return };
        let Ok(account) = account.parse::<usize>() else { return };
        let (wait, asked) = lock(&books).delay();
        tokio::time::sleep(wait).await;
        let verdict = lock(&books).decide(account, job, asked);
        // So that some senders die between the acceptance and their knowing of it.
        let slow = lock(&books).answer_delay();
        tokio::time::sleep(slow).await;
        let answer = match verdict {
            Verdict::Accepted(at) => format!("{}\n", at.timestamp_millis()),
            Verdict::Refused => "refused\n".to_owned(),
            Verdict::Silence => return,
        };
        if writing.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

impl Books {
    fn delay(&mut self) -> (Duration, DateTime<Utc>) {
        let now = self.time.now();
        let left = (self.midnight - now).to_std().unwrap_or_default();
        let mut wait = Duration::from_millis(self.dice.random_range(0..20));
        if !left.is_zero() && left < EVE && (left < LATE || self.dice.random_range(0..3) == 0) {
            wait = left + Duration::from_millis(self.dice.random_range(0..1_000));
        }
        (wait, now)
    }

    fn answer_delay(&mut self) -> Duration {
        Duration::from_millis(if self.dice.random_range(0..4) == 0 { self.dice.random_range(0..40) } else { 0 })
    }

    fn decide(&mut self, account: usize, job: &str, asked: DateTime<Utc>) -> Verdict {
        if let Some((_, at)) = self.accepted.get(job) {
            self.asked_again += 1;
            return Verdict::Accepted(*at);
        }
        if self.dice.random_range(0..REFUSED_ONE_IN) == 0 {
            self.refused += 1;
            return Verdict::Refused;
        }
        let at = self.time.now().trunc_subsecs(3);
        self.over_midnight += usize::from(asked < self.midnight && at >= self.midnight);
        self.accepted.insert(job.to_owned(), (account, at));
        if self.dice.random_range(0..SILENT_ONE_IN) == 0 {
            self.silent += 1;
            return Verdict::Silence;
        }
        Verdict::Accepted(at)
    }
}
