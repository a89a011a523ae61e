//! Sentinels, asked who the master is.
//!
//! By `SENTINEL GET-MASTER-ADDR-BY-NAME`, as their documentation asks clients to: it names a promoted replica as soon as it
//! is promoted, a second or more before `SENTINEL MASTERS`, which the client library reads, does; and meanwhile that would
//! send everybody back to an old master that was started again.

use futures::{StreamExt, stream::FuturesUnordered};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, aio::MultiplexedConnection,
};
use tokio::time::timeout;

use super::{ANSWER_TIMEOUT, CONNECT_TIMEOUT, timed_out};

/// The Sentinels of one master. Connections to them are kept.
pub(super) struct Sentinels {
    each: Vec<Sentinel>,
    master: String,
    /// User, password, database and TLS of the master.
    node: ConnectionInfo,
}

struct Sentinel {
    client: Client,
    connection: Option<MultiplexedConnection>,
}

impl Sentinel {
    /// Host and port of the master; none if this Sentinel does not know the name.
    async fn ask(&mut self, master: &str) -> Result<Option<(String, u16)>, RedisError> {
        let answer = timeout(CONNECT_TIMEOUT, self.ask_patiently(master)).await.unwrap_or_else(|_| Err(timed_out()));
        if answer.is_err() {
            self.connection = None;
        }
        answer
    }

    async fn ask_patiently(&mut self, master: &str) -> Result<Option<(String, u16)>, RedisError> {
        let mut question = redis::cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(master);
        if let Some(connection) = &mut self.connection {
            // It may have been restarted since it was asked last.
            match question.query_async(connection).await {
                Err(error) if error.is_io_error() => {}
                answer => return answer,
            }
        }
        let connection = self.client.get_multiplexed_async_connection_with_config(&patient()).await?;
        question.query_async(self.connection.insert(connection)).await
    }
}

impl Sentinels {
    pub(super) fn of(nodes: &[ConnectionInfo], master: &str, node: &ConnectionInfo) -> Result<Self, RedisError> {
        let sentinel = |info: &ConnectionInfo| Ok(Sentinel { client: Client::open(info.clone())?, connection: None });
        let each = nodes.iter().map(sentinel).collect::<Result<_, RedisError>>()?;
        Ok(Self { each, master: master.to_owned(), node: node.clone() })
    }

    /// Where the master is: what more than half of the Sentinels say, as soon as they do; else what most of those say that
    /// answer, because one that was cut off together with an old master does not know better.
    pub(super) async fn master(&mut self) -> Result<ConnectionAddr, RedisError> {
        let (all, master) = (self.each.len(), self.master.as_str());
        let mut answers: FuturesUnordered<_> = self.each.iter_mut().map(|sentinel| sentinel.ask(master)).collect();
        let mut votes: Vec<((String, u16), usize)> = Vec::new();
        let mut failed = None;
        while let Some(answer) = answers.next().await {
            let place = match answer {
                Ok(Some(place)) => place,
                Ok(None) => continue,
                Err(error) => {
                    failed = Some(error);
                    continue;
                }
            };
            match votes.iter_mut().find(|(named, _)| *named == place) {
                Some((_, count)) => *count += 1,
                None => votes.push((place, 1)),
            }
            if votes.iter().any(|(_, count)| 2 * count > all) {
                break;
            }
        }
        drop(answers);
        match votes.into_iter().max_by_key(|(_, count)| *count) {
            Some(((host, port), _)) => Ok(at(&self.node, host, port)),
            None => Err(failed.unwrap_or_else(|| {
                RedisError::from((ErrorKind::MasterNameNotFoundBySentinel, "the Sentinels know no master of this name"))
            })),
        }
    }

    /// A client for the server at this address, and a connection to it, if it takes itself for a master, too.
    pub(super) async fn connect(
        &self,
        place: ConnectionAddr,
        config: &AsyncConnectionConfig,
    ) -> Result<(Client, MultiplexedConnection), RedisError> {
        let client = Client::open(self.node.clone().set_addr(place))?;
        let mut connection = client.get_multiplexed_async_connection_with_config(config).await?;
        let role: Vec<redis::Value> = redis::cmd("ROLE").query_async(&mut connection).await?;
        match role.first().map(redis::from_redis_value_ref::<String>) {
            Some(Ok(role)) if role == "master" => Ok((client, connection)),
            _ => {
                let told = "the Sentinels name a server that is no master yet".to_owned();
                Err(redis::make_extension_error("MASTERDOWN".to_owned(), Some(told)))
            }
        }
    }

    /// A client for the master.
    pub(super) async fn client(&mut self) -> Result<Client, RedisError> {
        let place = self.master().await?;
        Ok(self.connect(place, &patient()).await?.0)
    }
}

fn patient() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(ANSWER_TIMEOUT))
}

/// The same way to a server at another place.
pub(super) fn at(pattern: &ConnectionInfo, host: String, port: u16) -> ConnectionAddr {
    match pattern.addr() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
            ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
        }
        _ => ConnectionAddr::Tcp(host, port),
    }
}
