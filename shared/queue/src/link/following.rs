//! A connection to whoever is the master, as Sentinels say.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Instant,
};

use redis::{
    AsyncConnectionConfig, ConnectionInfo, RedisError,
    aio::MultiplexedConnection,
    sentinel::{SentinelClient, SentinelNodeConnectionInfo},
};
use tokio::sync::Mutex;

use super::{ANSWER_TIMEOUT, CONNECT_TIMEOUT};
use crate::{address::sentinel_client, error::QueueError};

#[derive(Clone)]
pub(super) struct Following(Arc<Inner>);

struct Inner {
    current: RwLock<(u64, MultiplexedConnection)>,
    search: Mutex<Search>,
}

struct Search {
    sentinels: SentinelClient,
    /// The last search that found nothing, so that those who waited for it need not repeat it.
    failed: Option<(Instant, RedisError)>,
}

impl Search {
    async fn connect(&mut self) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(ANSWER_TIMEOUT));
        let search = async {
            let client = self.sentinels.async_get_client().await?;
            client.get_multiplexed_async_connection_with_config(&config).await
        };
        tokio::time::timeout(2 * CONNECT_TIMEOUT, search)
            .await
            .unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
    }
}

/// Whether the connection, or the server behind it, is not the master's any more.
fn stale(error: &RedisError) -> bool {
    error.is_connection_dropped()
        || error.is_io_error()
        || matches!(error.code(), Some("READONLY" | "MASTERDOWN" | "UNBLOCKED"))
}

impl Following {
    pub(super) async fn open(
        sentinels: &[ConnectionInfo],
        master: &str,
        node: &SentinelNodeConnectionInfo,
    ) -> Result<Self, QueueError> {
        let mut search = Search { sentinels: sentinel_client(sentinels, master, node)?, failed: None };
        let connection = search.connect().await?;
        Ok(Self(Arc::new(Inner { current: RwLock::new((0, connection)), search: Mutex::new(search) })))
    }

    /// A connection to the master, and its number.
    pub(super) fn current(&self) -> (u64, MultiplexedConnection) {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// After this error on the connection of this number: a connection on which to ask again.
    pub(super) async fn after(&self, error: RedisError, number: u64) -> Result<MultiplexedConnection, RedisError> {
        if !stale(&error) {
            return Err(error);
        }
        let connection = self.renew(number).await?;
        // An unanswered call has used its time up; its caller repeats it if it wants to.
        if error.is_timeout() { Err(error) } else { Ok(connection) }
    }

    /// Looks for the master, unless somebody has done so since.
    async fn renew(&self, generation: u64) -> Result<MultiplexedConnection, RedisError> {
        let asked = Instant::now();
        let mut search = self.0.search.lock().await;
        let (now, connection) = self.current();
        if now != generation {
            return Ok(connection);
        }
        if let Some((at, error)) = &search.failed
            && *at > asked
        {
            return Err(error.clone());
        }
        match search.connect().await {
            Ok(connection) => {
                search.failed = None;
                let mut current = self.0.current.write().unwrap_or_else(PoisonError::into_inner);
                *current = (generation + 1, connection.clone());
                Ok(connection)
            }
            Err(error) => {
                search.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}
