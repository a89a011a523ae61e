//! A connection to a cluster that is made anew when it hangs.
//!
//! The client library follows the cluster by itself, but under kills its one task was seen to wait for a node for ever, and
//! with it every call, whatever time-outs it was given. So whoever is not answered in time opens another for all.

use std::sync::{Arc, PoisonError, RwLock};

use futures::future::BoxFuture;
use redis::{ConnectionInfo, RedisError, cluster::ClusterClient, cluster_async::ClusterConnection};
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};

use super::{ANSWER_TIMEOUT, CONNECT_TIMEOUT, HUNG_AFTER, timed_out};
use crate::{address::cluster_client, error::QueueError};

#[derive(Clone)]
pub(super) struct Clustered(Arc<Inner>);

struct Inner {
    client: ClusterClient,
    current: RwLock<(u64, ClusterConnection)>,
    opening: Mutex<()>,
}

impl Clustered {
    pub(super) async fn open(nodes: &[ConnectionInfo]) -> Result<Self, QueueError> {
        let client = cluster_client(nodes)?;
        let connection = client.get_async_connection().await?;
        Ok(Self(Arc::new(Inner { client, current: RwLock::new((0, connection)), opening: Mutex::new(()) })))
    }

    /// Calls the cluster, again on another connection if there is no answer.
    pub(super) async fn run<'a, T>(
        &'a self,
        call: impl Fn(ClusterConnection) -> BoxFuture<'a, Result<T, RedisError>>,
    ) -> Result<T, RedisError> {
        let (mut number, mut connection) = self.current();
        let calls = async {
            loop {
                tokio::select! {
                    answer = call(connection) => return answer,
                    another = self.another(number) => (number, connection) = another,
                }
            }
        };
        timeout(ANSWER_TIMEOUT, calls).await.unwrap_or_else(|_| Err(timed_out()))
    }

    fn current(&self) -> (u64, ClusterConnection) {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends when the connection of this number has been replaced, by this caller or another.
    async fn another(&self, number: u64) -> (u64, ClusterConnection) {
        loop {
            sleep(HUNG_AFTER).await;
            let Ok(_opening) = self.0.opening.try_lock() else { continue };
            let (now, connection) = self.current();
            if now != number {
                return (now, connection);
            }
            if let Ok(Ok(connection)) = timeout(2 * CONNECT_TIMEOUT, self.0.client.get_async_connection()).await {
                tracing::warn!("the cluster does not answer on this connection; another was opened");
                let mut current = self.0.current.write().unwrap_or_else(PoisonError::into_inner);
                *current = (number + 1, connection);
                return current.clone();
            }
        }
    }
}
