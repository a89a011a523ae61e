//! A connection to whoever is the master, as Sentinels say.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use redis::{
    AsyncConnectionConfig, ConnectionInfo, RedisError,
    aio::MultiplexedConnection,
    sentinel::{SentinelClient, SentinelNodeConnectionInfo},
};
use tokio::sync::Mutex;

use super::{ANSWER_TIMEOUT, CONNECT_TIMEOUT};
use crate::{address::sentinel_client, error::QueueError};

/// A call that takes longer is a reason to ask whether its server is still the master: one that was cut off does not say so.
const DOUBTFUL_AFTER: Duration = Duration::from_millis(500);

#[derive(Clone)]
pub(super) struct Following(Arc<Inner>);

struct Inner {
    current: RwLock<(u64, MultiplexedConnection)>,
    search: Mutex<Search>,
}

struct Search {
    sentinels: SentinelClient,
    /// Where the current connection leads.
    address: String,
    /// The last search that found nothing, so that those who waited for it need not repeat it.
    failed: Option<(Instant, RedisError)>,
}

impl Search {
    async fn connect(&mut self) -> Result<MultiplexedConnection, RedisError> {
        let connection = self.connect_unless(None).await?;
        connection.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotFound).into())
    }

    /// Connects to the master, if it is another than at this address.
    async fn connect_unless(&mut self, known: Option<&str>) -> Result<Option<MultiplexedConnection>, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(ANSWER_TIMEOUT));
        let search = async {
            let client = self.sentinels.async_get_client().await?;
            let address = client.get_connection_info().addr().to_string();
            if known == Some(address.as_str()) {
                return Ok(None);
            }
            let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
            self.address = address;
            Ok(Some(connection))
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
        let mut search =
            Search { sentinels: sentinel_client(sentinels, master, node)?, address: String::new(), failed: None };
        let connection = search.connect().await?;
        Ok(Self(Arc::new(Inner { current: RwLock::new((0, connection)), search: Mutex::new(search) })))
    }

    /// Calls the master; whoever is that when the call is answered, as far as it may be told.
    pub(super) async fn run<'a, T>(
        &'a self,
        call: impl Fn(MultiplexedConnection) -> BoxFuture<'a, Result<T, RedisError>>,
    ) -> Result<T, RedisError> {
        let (number, connection) = self.current();
        let answer = tokio::select! {
            answer = call(connection) => answer,
            another = self.another(number) => return call(another).await,
        };
        match answer {
            Ok(answer) => Ok(answer),
            Err(error) => call(self.after(error, number).await?).await,
        }
    }

    /// Ends when another than the connection of this number leads to the master.
    async fn another(&self, number: u64) -> MultiplexedConnection {
        loop {
            tokio::time::sleep(DOUBTFUL_AFTER).await;
            let (now, connection) = self.current();
            if now != number {
                return connection;
            }
            let Ok(mut search) = self.0.search.try_lock() else { continue };
            let known = search.address.clone();
            if let Ok(Some(connection)) = search.connect_unless(Some(&known)).await {
                self.replace(number, &connection);
                return connection;
            }
        }
    }

    fn replace(&self, number: u64, connection: &MultiplexedConnection) {
        let mut current = self.0.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = (number + 1, connection.clone());
    }

    /// A connection to the master, and its number.
    fn current(&self) -> (u64, MultiplexedConnection) {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// After this error on the connection of this number: a connection on which to ask again.
    async fn after(&self, error: RedisError, number: u64) -> Result<MultiplexedConnection, RedisError> {
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
                self.replace(generation, &connection);
                Ok(connection)
            }
            Err(error) => {
                search.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}
