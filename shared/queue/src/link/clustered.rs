//! A connection to a cluster, and another one for the shards that are not answered on it.
//!
//! The client library follows the cluster by itself, with one task for all. While a node hangs that others name for a slot, that
//! task waits for it again and again, and with it every call; under kills it was seen to wait for ever. So whoever is not answered
//! in time asks on another connection, and so do from then on all that ask the same shard. When they are answered there, a new
//! connection comes in the place of the first, which knows as little as that did of what hangs still.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use redis::{Cmd, ConnectionInfo, RedisError, cluster::ClusterClient, cluster_async::ClusterConnection};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::{ANSWER_TIMEOUT, CONNECT_TIMEOUT, HUNG_AFTER, timed_out};
use crate::{address::cluster_client, error::QueueError};

#[derive(Clone)]
pub(super) struct Clustered(Arc<Inner>);

struct Inner {
    client: ClusterClient,
    current: RwLock<ClusterConnection>,
    aside: Mutex<Aside>,
    /// First keys of the shards that ask there, and whether they were answered.
    silent: Mutex<HashMap<Vec<u8>, bool>>,
    renewing: AtomicBool,
    /// Each opens a connection, and ends by itself when that takes too long.
    tasks: TaskTracker,
}

/// The other connection, if there is one.
#[derive(Default)]
struct Aside {
    /// How many were left.
    number: u64,
    opening: Option<Opening>,
}

/// None if it could not be opened.
type Opening = Shared<BoxFuture<'static, Option<ClusterConnection>>>;

impl Clustered {
    pub(super) async fn open(nodes: &[ConnectionInfo]) -> Result<Self, QueueError> {
        let client = cluster_client(nodes)?;
        let current = RwLock::new(client.get_async_connection().await?);
        let (aside, silent, renewing, tasks) = Default::default();
        Ok(Self(Arc::new(Inner { client, current, aside, silent, renewing, tasks })))
    }

    /// Calls the cluster with what begins with this command, again on another connection if there is no answer.
    pub(super) async fn run<'a, T>(
        &'a self,
        command: Option<&Cmd>,
        call: impl Fn(ClusterConnection) -> BoxFuture<'a, Result<T, RedisError>>,
    ) -> Result<T, RedisError> {
        let (key, mut used) = (key_of(command), None);
        let calls = async {
            if !self.silent().contains_key(key) {
                match timeout(HUNG_AFTER, call(self.current())).await {
                    Ok(answer) => return answer,
                    Err(_late) => self.silent().insert(key.to_vec(), false),
                };
            }
            let (number, opening) = self.aside();
            let opened = opening.await;
            used = Some(number);
            call(opened.ok_or_else(timed_out)?).await
        };
        let answer = timeout(ANSWER_TIMEOUT, calls).await.unwrap_or_else(|_| Err(timed_out()));
        match (&answer, used) {
            (Ok(_), Some(_)) => self.answered(key),
            (Err(error), Some(number)) if error.is_timeout() || error.is_connection_dropped() => self.leave(number),
            _ => {}
        }
        answer
    }

    fn silent(&self) -> MutexGuard<'_, HashMap<Vec<u8>, bool>> {
        self.0.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> ClusterConnection {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// In a task of its own, so that it comes about however short those wait who asked for it.
    fn opening(&self) -> impl Future<Output = Option<ClusterConnection>> + Send + 'static {
        let client = self.0.client.clone();
        let opening = async move { timeout(3 * CONNECT_TIMEOUT, client.get_async_connection()).await };
        self.0.tasks.spawn(opening).map(|opened| opened.ok()?.ok()?.ok())
    }

    fn aside(&self) -> (u64, Opening) {
        let mut aside = self.0.aside.lock().unwrap_or_else(PoisonError::into_inner);
        let opening = aside.opening.get_or_insert_with(|| self.opening().boxed().shared()).clone();
        (aside.number, opening)
    }

    /// These are answered aside: a new connection will answer them, too. Nobody waits for it.
    fn answered(&self, key: &[u8]) {
        if let Some(answered) = self.silent().get_mut(key) {
            *answered = true;
        }
        if self.0.renewing.swap(true, Ordering::AcqRel) {
            return;
        }
        let (clustered, opening) = (self.clone(), self.opening());
        self.0.tasks.spawn(async move {
            if let Some(connection) = opening.await {
                tracing::warn!("the cluster did not answer on a connection; another was opened");
                *clustered.0.current.write().unwrap_or_else(PoisonError::into_inner) = connection;
                clustered.silent().retain(|_, answered| !*answered);
            }
            clustered.0.renewing.store(false, Ordering::Release);
        });
    }

    /// It does not answer, either, or could not be opened: the next who asks opens another.
    fn leave(&self, number: u64) {
        let mut aside = self.0.aside.lock().unwrap_or_else(PoisonError::into_inner);
        if aside.number == number {
            *aside = Aside { number: number + 1, opening: None };
        }
    }
}

/// The key that a script is called with, which tells its shard; nothing of any other command.
fn key_of(command: Option<&Cmd>) -> &[u8] {
    let mut words = command.into_iter().flat_map(Cmd::args_iter).map(|word| match word {
        redis::Arg::Simple(bytes) => bytes,
        _ => &[],
    });
    match words.next() {
        Some(b"EVAL" | b"EVALSHA") => words.nth(2).unwrap_or_default(),
        _ => &[],
    }
}
