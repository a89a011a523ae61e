//! The way to Redis: which server holds a shard, and calling scripts there. Connections mend themselves.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU8, AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use redis::{Cmd, FromRedisValue, RedisError, Value};
use tokio_util::task::TaskTracker;

use crate::{address::Address, error::QueueError, keys, script::Script};

mod absent;
mod clustered;
mod commit;
mod connection;
mod eager;
mod following;
mod homes;
mod line;
mod sentinels;
mod server;
mod together;

pub(crate) use server::Server;

/// How long an answer may take before the call counts as unanswered.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may take to be made.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A call that is not answered for so long is a reason to try another connection; longer than one takes that waits for a replica.
const HUNG_AFTER: Duration = Duration::from_millis(1_500);
/// Sentinels are asked at this distance whether the master is still the same.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Reconnecting to a cluster is tried at this distance at most, so that a returned server is found within it.
pub(crate) const RECONNECT_EVERY: Duration = Duration::from_millis(200);

/// Arguments of a script call after its key.
pub(crate) type Args = Vec<Vec<u8>>;

/// Whose task moves the bytes of a call.
#[derive(Clone, Copy)]
pub(crate) enum Via {
    /// That of the server's shared connection.
    Shared,
    /// The caller's own, if possible: sooner for a call that comes alone.
    Own,
}

#[derive(Clone)]
pub(crate) struct Link(Arc<Inner>);

struct Inner {
    /// As `REDIS_URL` names them.
    addresses: Vec<Address>,
    /// By the same places; empty while a server has been away since the start.
    servers: Vec<OnceLock<Server>>,
    /// What the servers call themselves, by the same places.
    names: Vec<OnceLock<String>>,
    /// By shard, the place of its server; out of range while that is not known.
    homes: Vec<AtomicU16>,
    /// Replicas that must confirm a commit.
    replicas: u32,
    /// Protocol of the data; 0 while the server that knows it is away.
    protocol: AtomicU8,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link") // the client's own form could show a password
    }
}

impl Link {
    /// How many servers there are, those that are away among them.
    pub(crate) fn servers(&self) -> usize {
        self.0.servers.len()
    }

    /// The server at this place.
    pub(crate) fn at(&self, place: usize) -> Result<&Server, QueueError> {
        self.0.servers.get(place).and_then(OnceLock::get).ok_or_else(|| absent::away(self.0.addresses.get(place)))
    }

    /// Where it is, without user and password.
    pub(crate) fn address(&self, place: usize) -> String {
        self.0.addresses.get(place).map(ToString::to_string).unwrap_or_default()
    }

    /// An error of its server in the operator's words.
    pub(crate) fn explain(&self, place: usize, error: QueueError) -> QueueError {
        match self.0.addresses.get(place) {
            Some(address) => server::explain(error, address),
            None => error,
        }
    }

    /// The place of the server that holds a shard.
    pub(crate) fn home(&self, shard: u16) -> usize {
        self.0.homes.get(usize::from(shard)).map_or(0, |home| usize::from(home.load(Ordering::Acquire)))
    }

    /// The shards that a server holds.
    pub(crate) fn shards_of(&self, server: usize) -> Vec<u16> {
        (0..).take(self.0.homes.len()).filter(|shard| self.home(*shard) == server).collect()
    }

    /// The protocol of the data; 0 if that is not known yet.
    pub(crate) fn protocol(&self) -> u8 {
        self.0.protocol.load(Ordering::Relaxed)
    }

    pub(crate) fn learn_protocol(&self, protocol: u8) {
        self.0.protocol.store(protocol, Ordering::Relaxed);
    }

    /// Follows the masters that Sentinels name, as long as anybody uses the link: an old one that was started again takes
    /// itself for a master, and would be believed until a Sentinel tells it otherwise, ten seconds later.
    pub(crate) fn follow_masters(&self, tasks: &TaskTracker) {
        if !self.0.addresses.iter().any(|address| matches!(address, Address::Sentinel { .. })) {
            return;
        }
        let inner = Arc::downgrade(&self.0);
        tasks.spawn(async move {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                let Some(inner) = inner.upgrade() else { return };
                join_all(inner.servers.iter().filter_map(OnceLock::get).map(Server::look)).await;
            }
        });
    }

    fn server(&self, shard: u16) -> Result<&Server, QueueError> {
        self.at(self.home(shard))
    }

    /// Whether a server answers.
    pub(crate) async fn ping(&self, place: usize) -> Result<(), QueueError> {
        let _: Value = self.at(place)?.connection.ask(&redis::cmd("PING")).await?;
        Ok(())
    }

    /// What time a server has: seconds and microseconds of Unix time.
    pub(crate) async fn time(&self, place: usize) -> Result<(i64, i64), QueueError> {
        Ok(self.at(place)?.connection.ask(&redis::cmd("TIME")).await?)
    }

    /// Calls a script on a shard. Calls made at the same time share round trips.
    pub(crate) async fn call(&self, script: &Script, shard: u16, args: &Args) -> Result<Value, QueueError> {
        self.call_in(Via::Shared, script, shard, args).await
    }

    /// The same, in a task of the caller's choice.
    pub(crate) async fn call_in(
        &self,
        via: Via,
        script: &Script,
        shard: u16,
        args: &Args,
    ) -> Result<Value, QueueError> {
        let answer = self.server(shard)?.call_in(via, script, &keys::jobs(shard), args).await;
        let answer = if homes::moved(&answer) {
            self.look_again().boxed().await?;
            self.server(shard)?.call_in(via, script, &keys::jobs(shard), args).await
        } else {
            answer
        };
        answer.map_err(|error| refused(error, script, shard))
    }
}

/// A refusal of the same script is logged so often: a server that refuses this process refuses each of its many calls.
const REFUSALS_APART: Duration = Duration::from_secs(1);

/// Scripts and when a refusal was logged last.
struct Refusals(BTreeMap<&'static str, Instant>);

impl Refusals {
    fn is_news(&mut self, script: &'static str, now: Instant) -> bool {
        let news = self.0.get(script).is_none_or(|last| now.duration_since(*last) >= REFUSALS_APART);
        if news {
            self.0.insert(script, now);
        }
        news
    }
}

static REFUSALS: Mutex<Refusals> = Mutex::new(Refusals(BTreeMap::new()));

fn refused(error: QueueError, script: &Script, shard: u16) -> QueueError {
    if let QueueError::Refused(cause) = &error
        && REFUSALS.lock().unwrap_or_else(PoisonError::into_inner).is_news(script.name, Instant::now())
    {
        tracing::error!(script = script.name, shard, error = %cause, "script refused");
    }
    error
}

/// What is said of a call that was not answered in time.
pub(crate) fn timed_out() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

/// The command that calls a script.
fn call_of(script: &Script, whole: bool, key: &str, args: &Args) -> Cmd {
    let mut command = redis::cmd(if whole { "EVAL" } else { "EVALSHA" });
    command.arg(if whole { &script.text } else { &script.sha }).arg(1).arg(key);
    for arg in args {
        command.arg(arg.as_slice());
    }
    command
}

/// Whether the server has to be told the script's text. That travels with the call and not before it, because between the
/// two a cluster may have another master.
fn unknown_script(error: &RedisError) -> bool {
    error.code() == Some("NOSCRIPT")
}

impl Server {
    /// Calls a script under its first key.
    pub(crate) fn call<'a>(
        &'a self,
        script: &'a Script,
        key: &'a str,
        args: &'a Args,
    ) -> BoxFuture<'a, Result<Value, QueueError>> {
        self.call_in(Via::Shared, script, key, args)
    }

    fn call_in<'a>(
        &'a self,
        via: Via,
        script: &'a Script,
        key: &'a str,
        args: &'a Args,
    ) -> BoxFuture<'a, Result<Value, QueueError>> {
        let ask = async move |command: &Cmd| match via {
            Via::Shared => self.connection.ask(command).await,
            Via::Own => self.connection.ask_here(command).await,
        };
        // Boxed, so that the types of all that call scripts stay small.
        async move {
            let asked = Instant::now();
            let answer = match ask(&call_of(script, false, key, args)).await {
                Err(error) if unknown_script(&error) => ask(&call_of(script, true, key, args)).await,
                answer => answer,
            };
            script.took(asked, answer.is_ok());
            Ok(answer?)
        }
        .boxed()
    }

    /// Runs a plain command; in a cluster, on the nodes that redis-rs sends it to.
    pub(crate) async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, QueueError> {
        Ok(self.connection.ask(command).await?)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        time::{Duration, Instant},
    };

    use super::Refusals;

    #[test]
    fn of_many_refusals_one_a_second_and_script_is_logged() {
        let (mut refusals, began) = (Refusals(BTreeMap::new()), Instant::now());
        let mut logged = |script, after| refusals.is_news(script, began + Duration::from_millis(after));
        assert_eq!((0..2_000).filter(|after| logged("turn", *after)).count(), 2);
        assert!(logged("renew", 500), "of another script");
    }
}
