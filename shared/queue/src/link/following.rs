//! A connection to one server that is made anew when it ends or hangs; to whoever is the master, if Sentinels say that.
//!
//! A network that swallows everything ends no connection, and a master that was cut off, or was started again after a
//! replica had taken over, does not say that it is none: nobody may wait for either to be told by the other side.

use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use redis::{AsyncConnectionConfig, Client, RedisError, Value, aio::MultiplexedConnection};
use tokio::{
    sync::{Mutex, watch},
    time::timeout,
};

use super::{ANSWER_TIMEOUT, CONNECT_TIMEOUT, HUNG_AFTER, sentinels::Sentinels, timed_out};
use crate::{address::Address, error::QueueError};

/// A call that takes longer is a reason to ask whether its server is still the master.
const DOUBTFUL_AFTER: Duration = Duration::from_millis(500);
/// A server that says of a new connection, too, that it is no master is not connected to again before: each of many calls is told so.
const NO_MASTER_AGAIN: Duration = Duration::from_millis(200);
const BUFFER: usize = 1024;

pub(super) struct Following {
    /// The connection, and how many there were before it.
    current: watch::Sender<(u64, MultiplexedConnection)>,
    search: Mutex<Search>,
}

enum Target {
    One(Client),
    Master(Sentinels),
}

struct Search {
    target: Target,
    /// Where the current connection leads, and since when.
    address: String,
    connected: Instant,
    /// The last search that found nothing, so that those who waited for it need not repeat it.
    failed: Option<(Instant, RedisError)>,
}

impl Search {
    async fn connect(&mut self) -> Result<MultiplexedConnection, RedisError> {
        let connection = self.connect_unless(None).await?;
        connection.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotFound).into())
    }

    /// Connects, if it is to another server than the one at this address, and that answers.
    async fn connect_unless(&mut self, known: Option<&str>) -> Result<Option<MultiplexedConnection>, RedisError> {
        // How long answers are waited for is known to the caller.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(BUFFER);
        let search = async {
            match &mut self.target {
                Target::One(_) if known.is_some() => Ok(None),
                Target::One(client) => {
                    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
                    // Whatever it answers: that it does tells one that hangs from one that is slow.
                    match redis::cmd("PING").query_async::<Value>(&mut connection).await {
                        Err(error) if error.is_io_error() => Err(error),
                        _ => Ok(Some(connection)),
                    }
                }
                Target::Master(sentinels) => {
                    let place = sentinels.master().await?;
                    let address = place.to_string();
                    if known == Some(address.as_str()) {
                        return Ok(None);
                    }
                    let (_, connection) = sentinels.connect(place, &config).await?;
                    self.address = address;
                    Ok(Some(connection))
                }
            }
        };
        timeout(2 * CONNECT_TIMEOUT, search).await.unwrap_or_else(|_| Err(timed_out()))
    }
}

/// Whether the connection, or the server behind it, is not the master's any more.
pub(super) fn stale(error: &RedisError) -> bool {
    error.is_connection_dropped() || error.is_io_error() || is_left(error)
}

fn is_left(error: &RedisError) -> bool {
    error.code().is_some_and(|code| LEFT.contains(&code))
}

/// What a server says that is no master any more, the last to those who wait for its replicas.
const LEFT: &[&str] = &["READONLY", "MASTERDOWN", "UNBLOCKED"];

/// Whether one of several answers says that.
pub(super) fn is_of_no_master(answer: &Value) -> bool {
    matches!(answer, Value::ServerError(error) if LEFT.contains(&error.code()))
}

impl Following {
    /// To this server, or to the master that these Sentinels name.
    pub(super) async fn open(address: &Address) -> Result<Self, QueueError> {
        let target = match address {
            Address::Single(client) => Target::One(client.clone()),
            Address::Sentinel { sentinels, master, node } => Target::Master(Sentinels::of(sentinels, master, node)?),
            Address::Cluster { .. } => {
                return Err(QueueError::invalid("REDIS_URL", "a cluster has no one master"));
            }
        };
        let mut search = Search { target, address: String::new(), connected: Instant::now(), failed: None };
        let connection = search.connect().await?;
        Ok(Self { current: watch::Sender::new((0, connection)), search: Mutex::new(search) })
    }

    /// Calls the server; whoever is the master when the call is answered, as far as it may be told. A call may be carried
    /// out more than once.
    pub(super) async fn run<'a, T>(
        &'a self,
        call: impl Fn(MultiplexedConnection) -> BoxFuture<'a, Result<T, RedisError>>,
    ) -> Result<T, RedisError> {
        let calls = async {
            let (mut number, mut connection) = self.current();
            let mut renewed = false;
            loop {
                let answer = tokio::select! {
                    biased;
                    answer = call(connection) => answer,
                    another = self.another(number) => {
                        (number, connection) = another;
                        continue;
                    }
                };
                match answer {
                    Err(error) if stale(&error) && !renewed => {
                        (number, connection) = self.renew(number, error).await?;
                        renewed = true;
                    }
                    answer => return answer,
                }
            }
        };
        timeout(ANSWER_TIMEOUT, calls).await.unwrap_or_else(|_| Err(timed_out()))
    }

    /// Goes over to another master, if the Sentinels name one, without waiting for a call to fail.
    pub(super) async fn look(&self) {
        let Ok(mut search) = self.search.try_lock() else { return };
        let known = search.address.clone();
        if let Ok(Some(connection)) = search.connect_unless(Some(&known)).await {
            tracing::warn!(master = %search.address, "the Sentinels name another master");
            self.replace(&mut search, connection);
        }
    }

    /// How many connections there were before this one.
    pub(super) fn number(&self) -> u64 {
        self.current.borrow().0
    }

    /// Ends when the connection of this number has been replaced: because another leads to the master, or because it hangs
    /// while a new one is answered.
    async fn another(&self, number: u64) -> (u64, MultiplexedConnection) {
        let asked = Instant::now();
        let mut replaced = self.current.subscribe();
        loop {
            tokio::select! {
                Ok(current) = replaced.wait_for(|(now, _)| *now != number) => return current.clone(),
                () = tokio::time::sleep(DOUBTFUL_AFTER) => {}
            }
            let Ok(mut search) = self.search.try_lock() else { continue };
            let known = (asked.elapsed() < HUNG_AFTER).then(|| search.address.clone());
            if self.number() == number
                && let Ok(Some(connection)) = search.connect_unless(known.as_deref()).await
            {
                tracing::warn!(
                    elsewhere = known.is_some(),
                    "Redis does not answer on this connection; another was opened"
                );
                self.replace(&mut search, connection);
            }
        }
    }

    fn replace(&self, search: &mut Search, connection: MultiplexedConnection) {
        search.connected = Instant::now();
        self.current.send_modify(|current| *current = (current.0 + 1, connection));
    }

    fn current(&self) -> (u64, MultiplexedConnection) {
        self.current.borrow().clone()
    }

    /// Another connection than that of this number, which is stale, unless somebody has made one since.
    async fn renew(&self, number: u64, stale: RedisError) -> Result<(u64, MultiplexedConnection), RedisError> {
        let asked = Instant::now();
        let mut search = self.search.lock().await;
        let (now, connection) = self.current();
        if now != number {
            return Ok((now, connection));
        }
        if is_left(&stale) && search.connected.elapsed() < NO_MASTER_AGAIN {
            return Err(stale);
        }
        if let Some((at, error)) = &search.failed
            && *at > asked
        {
            return Err(error.clone());
        }
        match search.connect().await {
            Ok(connection) => {
                search.failed = None;
                self.replace(&mut search, connection);
                Ok(self.current())
            }
            Err(error) => {
                search.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}
