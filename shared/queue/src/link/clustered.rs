//! A connection to a cluster, and another one for the shards that are not answered on it.
//!
//! The client library follows the cluster by itself, with one task for all. While a node hangs that others name for a slot, that
//! task waits for it again and again, and with it every call; under kills it was seen to wait for ever. So whoever is not answered
//! in time asks on another connection, and so do from then on all that ask the same shard. When they are answered there, a new
//! connection comes in the place of the first, which knows as little as that did of what hangs still.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use futures::future::BoxFuture;
use redis::{Cmd, ConnectionInfo, RedisError, cluster::ClusterClient, cluster_async::ClusterConnection};
use tokio::time::timeout;

use super::{ANSWER_TIMEOUT, CONNECT_TIMEOUT, HUNG_AFTER, timed_out};
use crate::{address::cluster_client, error::QueueError};

#[derive(Clone)]
pub(super) struct Clustered(Arc<Inner>);

struct Inner {
    client: ClusterClient,
    current: RwLock<ClusterConnection>,
    /// The other one, if there is one, and how many there were.
    aside: tokio::sync::Mutex<(u64, Option<ClusterConnection>)>,
    /// First keys of the shards that ask there, and whether they were answered.
    silent: Mutex<HashMap<Vec<u8>, bool>>,
    renewing: tokio::sync::Mutex<()>,
}

impl Clustered {
    pub(super) async fn open(nodes: &[ConnectionInfo]) -> Result<Self, QueueError> {
        let client = cluster_client(nodes)?;
        let current = RwLock::new(client.get_async_connection().await?);
        let (aside, silent, renewing) = Default::default();
        Ok(Self(Arc::new(Inner { client, current, aside, silent, renewing })))
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
            let (number, connection) = self.aside().await?;
            used = Some(number);
            call(connection).await
        };
        let answer = timeout(ANSWER_TIMEOUT, calls).await;
        match (&answer, used) {
            (Ok(Ok(_)), Some(_)) => self.answered(key).await,
            (Err(_late), Some(number)) => self.leave(number).await,
            _ => {}
        }
        answer.unwrap_or_else(|_| Err(timed_out()))
    }

    fn silent(&self) -> MutexGuard<'_, HashMap<Vec<u8>, bool>> {
        self.0.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> ClusterConnection {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn aside(&self) -> Result<(u64, ClusterConnection), RedisError> {
        let mut aside = self.0.aside.lock().await;
        if let (number, Some(connection)) = &*aside {
            return Ok((*number, connection.clone()));
        }
        let connection = self.0.client.get_async_connection().await?;
        *aside = (aside.0 + 1, Some(connection.clone()));
        Ok((aside.0, connection))
    }

    /// These are answered aside: a new connection will answer them, too.
    async fn answered(&self, key: &[u8]) {
        if let Some(answered) = self.silent().get_mut(key) {
            *answered = true;
        }
        let Ok(_renewing) = self.0.renewing.try_lock() else { return };
        if let Ok(Ok(connection)) = timeout(3 * CONNECT_TIMEOUT, self.0.client.get_async_connection()).await {
            tracing::warn!("the cluster did not answer on a connection; another was opened");
            *self.0.current.write().unwrap_or_else(PoisonError::into_inner) = connection;
            self.silent().retain(|_, answered| !*answered);
        }
    }

    /// It does not answer, either: the next who asks opens another.
    async fn leave(&self, number: u64) {
        let mut aside = self.0.aside.lock().await;
        if aside.0 == number {
            aside.1 = None;
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
