//! A bad network between the product's processes and Redis: it loses answers of calls that were carried out, or is cut.
//!
//! It knows where one command and one answer ends, so that a lost answer is always that of a whole call, and says of which.

mod calls;
pub(crate) mod frame;
mod path;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use calls::Calls;

use crate::redis_server::RedisServer;

/// How long a slow answer may be under way: around the 5 s after which the product takes a call for unanswered.
const SLOW_MS: std::ops::Range<u64> = 500..6_500;
/// Of so many lost answers one is not cut off, but slow.
const SLOW_OF: u32 = 12;

/// What befalls an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Delivered,
    /// The connection ends in its place.
    Lost,
    /// It comes later, and so does everything behind it.
    Slow(Duration),
}

#[derive(Debug)]
struct Weather {
    dice: StdRng,
    /// Of so many answers one is lost; 0 for a fair wind.
    one_in: u32,
    /// Answers that did not come, or came late, by what was called.
    hits: BTreeMap<String, usize>,
}

#[derive(Debug)]
struct Shared {
    redis: String,
    calls: Calls,
    weather: Mutex<Weather>,
    cut: watch::Sender<Cut>,
}

/// Whether anything passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Cut {
    now: bool,
    times: u32,
    /// Connections made before the last cut end with it, and what was under way is gone.
    resets: bool,
}

/// A way to Redis on a port of its own; one per process or sort of process, so that its hits can be told apart.
#[derive(Debug)]
pub struct Network {
    address: String,
    shared: Arc<Shared>,
    _connections: JoinSet<()>,
}

impl Network {
    /// A fair one, before this server. Networks that share their `calls` learn the names of scripts together.
    pub async fn before(redis: &RedisServer, calls: &Calls, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen on a free port");
        let address = listener.local_addr().expect("its address").to_string();
        let weather = Weather { dice: StdRng::seed_from_u64(seed), one_in: 0, hits: BTreeMap::new() };
        let shared = Arc::new(Shared {
            redis: redis.address(),
            calls: calls.clone(),
            weather: Mutex::new(weather),
            cut: watch::Sender::default(),
        });
        let mut connections = JoinSet::new();
        connections.spawn(listen(listener, Arc::clone(&shared)));
        Self { address, shared, _connections: connections }
    }

    pub fn url(&self) -> String {
        format!("redis://{}/", self.address)
    }

    /// From now on one of so many answers is lost; 0 ends that. What was called is carried out all the same.
    pub fn lose_one_in(&self, answers: u32) {
        self.shared.weather().one_in = answers;
    }

    /// Nothing passes until [`Self::mend`]. Then what was under way arrives, or, if it `resets`, all connections of before
    /// are closed.
    pub fn cut(&self, resets: bool) {
        self.shared.cut.send_modify(|cut| *cut = Cut { now: true, times: cut.times + 1, resets });
    }

    pub fn mend(&self) {
        self.shared.cut.send_modify(|cut| cut.now = false);
    }

    /// Answers lost or late so far, by what was called.
    pub fn hits(&self) -> BTreeMap<String, usize> {
        self.shared.weather().hits.clone()
    }
}

/// The ways of the product's processes, one per sort.
#[derive(Debug)]
pub struct Networks([(&'static str, Network); 3]);

impl Networks {
    /// Fair ones, before this server.
    pub async fn before(redis: &RedisServer, seed: u64) -> Self {
        let calls = Calls::default();
        let (api, worker, scheduler) = tokio::join!(
            Network::before(redis, &calls, seed),
            Network::before(redis, &calls, seed + 1),
            Network::before(redis, &calls, seed + 2),
        );
        Self([("api", api), ("worker", worker), ("scheduler", scheduler)])
    }

    /// That of `api`, `worker` or `scheduler`.
    pub fn of(&self, sort: &str) -> &Network {
        let found = self.0.iter().find(|(name, _)| *name == sort);
        &found.expect("api, worker or scheduler").1
    }

    pub fn all(&self) -> impl Iterator<Item = &Network> {
        self.0.iter().map(|(_, network)| network)
    }

    /// Answers lost or late so far, by whose and what was called: `worker turn`.
    pub fn hits(&self) -> BTreeMap<String, usize> {
        let of = |(sort, network): &(&'static str, Network)| {
            network.hits().into_iter().map(|(call, hits)| (format!("{sort} {call}"), hits)).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of).collect()
    }
}

impl Shared {
    fn weather(&self) -> MutexGuard<'_, Weather> {
        self.weather.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fate(&self, call: &str) -> Fate {
        let mut weather = self.weather();
        let one_in = weather.one_in;
        if one_in == 0 || weather.dice.random_range(0..one_in) > 0 {
            return Fate::Delivered;
        }
        *weather.hits.entry(call.to_owned()).or_default() += 1;
        if weather.dice.random_range(0..SLOW_OF) > 0 {
            return Fate::Lost;
        }
        Fate::Slow(Duration::from_millis(weather.dice.random_range(SLOW_MS)))
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let mut cut = shared.cut.subscribe();
            let made = match cut.wait_for(|cut| !cut.now).await {
                Ok(cut) => cut.times,
                Err(_) => return,
            };
            if let Ok(redis) = TcpStream::connect(&shared.redis).await {
                let _ = client.set_nodelay(true);
                let _ = redis.set_nodelay(true);
                path::pass(client, redis, made, &shared).await;
            }
        });
        while connections.try_join_next().is_some() {}
    }
}
