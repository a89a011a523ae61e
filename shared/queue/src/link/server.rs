//! One server of the queue: a single one, a Sentinel's master, or a whole cluster.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
};

use redis::{Client, ConnectionInfo, ErrorKind, RedisError, Value, aio::PubSub};
use tokio::sync::Mutex;

use super::{
    CONNECT_TIMEOUT,
    connection::Connection,
    sentinels::{Sentinels, at},
    timed_out,
};
use crate::{
    address::Address,
    error::{QueueError, no_master_now},
};

pub(crate) struct Server {
    pub(super) connection: Connection,
    /// Where calls wait for replicas, so that no other call waits behind them.
    pub(super) commits: Option<Connection>,
    address: Address,
    /// Nodes of a cluster, as it told last; the configured ones until then.
    nodes: Mutex<Vec<ConnectionInfo>>,
    next_node: AtomicUsize,
}

impl Server {
    pub(super) async fn open(address: Address, replicas: u32) -> Result<Self, QueueError> {
        let connection = Connection::open(&address).await?;
        let commits = if replicas > 0 { Some(Connection::open(&address).await?) } else { None };
        let nodes = match &address {
            Address::Cluster { nodes } => nodes.clone(),
            Address::Single(_) | Address::Sentinel { .. } => Vec::new(),
        };
        Ok(Self { connection, commits, address, nodes: Mutex::new(nodes), next_node: AtomicUsize::new(0) })
    }

    /// Whether it spreads the shards over its nodes by itself.
    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.address, Address::Cluster { .. })
    }

    /// Clients of each process that keeps data: of the masters of a cluster, else of the one there is.
    pub(crate) async fn masters(&self) -> Result<Vec<Client>, QueueError> {
        match &self.address {
            Address::Single(client) => Ok(vec![client.clone()]),
            Address::Sentinel { sentinels, master, node } => {
                Ok(vec![Sentinels::of(sentinels, master, node)?.client().await?])
            }
            Address::Cluster { .. } => {
                let masters = self.learn_nodes().await?.into_iter().filter(|(_, master)| *master);
                Ok(masters.map(|(node, _)| Client::open(node)).collect::<Result<_, _>>()?)
            }
        }
    }

    pub(crate) fn has_sentinels(&self) -> bool {
        matches!(self.address, Address::Sentinel { .. })
    }

    /// Goes over to another master, if the Sentinels name one.
    pub(super) async fn look(&self) {
        if self.has_sentinels() {
            self.connection.look().await;
            if let Some(commits) = &self.commits {
                commits.look().await;
            }
        }
    }

    /// Changes when calls go over another connection, perhaps to another master: then a subscription is to be made anew.
    pub(crate) fn master_number(&self) -> u64 {
        self.connection.number()
    }

    /// A new connection for messages. Any node of a cluster passes all messages on.
    pub(crate) async fn subscription(&self) -> Result<PubSub, QueueError> {
        let connect = async {
            match &self.address {
                Address::Single(client) => Ok(client.get_async_pubsub().await?),
                Address::Sentinel { sentinels, master, node } => {
                    let client = Sentinels::of(sentinels, master, node)?.client().await?;
                    Ok(client.get_async_pubsub().await?)
                }
                Address::Cluster { .. } => {
                    let node = {
                        let nodes = self.nodes.lock().await;
                        let place = self.next_node.fetch_add(1, Ordering::Relaxed);
                        nodes[place % nodes.len()].clone()
                    };
                    let subscription = Client::open(node)?.get_async_pubsub().await?;
                    self.learn_nodes().await?;
                    Ok(subscription)
                }
            }
        };
        tokio::time::timeout(2 * CONNECT_TIMEOUT, connect).await.unwrap_or_else(|_| Err(timed_out().into()))
    }

    /// The healthy nodes of a cluster, and whether each is a master.
    async fn learn_nodes(&self) -> Result<Vec<(ConnectionInfo, bool)>, QueueError> {
        let Address::Cluster { nodes: configured } = &self.address else {
            return Ok(Vec::new());
        };
        let answer: Value = self.connection.ask(redis::cmd("CLUSTER").arg("NODES")).await?;
        let text = redis::from_redis_value::<String>(answer).map_err(RedisError::from)?;
        let nodes: Vec<_> = text.lines().filter_map(|line| node_of(line, &configured[0])).collect();
        if !nodes.is_empty() {
            *self.nodes.lock().await = nodes.iter().map(|(node, _)| node.clone()).collect();
        }
        Ok(nodes)
    }
}

/// Errors of first calls in the operator's words: they name the setting that is to blame, and the server.
pub(super) fn explain(error: QueueError, address: &Address) -> QueueError {
    let cause = match &error {
        QueueError::Refused(cause) => cause,
        QueueError::Unreachable(cause) if no_master_now(cause) => cause,
        QueueError::Unreachable(cause) if cause.code().is_none() => return silent(cause, address),
        _ => return error,
    };
    let text = cause.to_string();
    if text.contains("cluster support disabled") {
        return QueueError::Setting {
            server: address.to_string(),
            setting: "cluster-enabled",
            found: "no".to_owned(),
            wanted: "yes, or a REDIS_URL without +cluster",
        };
    }
    match (cause.code(), cause.kind()) {
        (Some("NOAUTH" | "WRONGPASS" | "NOPERM"), _) | (_, ErrorKind::AuthenticationFailed) => {
            QueueError::invalid("REDIS_URL", format!("its user or password is not accepted at {address} ({text})"))
        }
        (_, ErrorKind::MasterNameNotFoundBySentinel) => {
            QueueError::invalid("REDIS_URL", "the Sentinels know no working master of this name")
        }
        (_, ErrorKind::Parse) => QueueError::invalid("REDIS_URL", format!("what answers at {address} is not Redis")),
        _ if text.contains("unknown command 'SENTINEL'") => {
            QueueError::invalid("REDIS_URL", format!("what answers at {address} is no Sentinel"))
        }
        _ => QueueError::invalid("REDIS_URL", format!("{address} refuses to serve: {}", text.trim_end())),
    }
}

/// Nobody answers as Redis does. The server may come, so this stays an error that passes.
fn silent(cause: &RedisError, address: &Address) -> QueueError {
    let mute = cause.is_timeout() || cause.is_connection_dropped();
    let kind = if cause.is_timeout() { io::ErrorKind::TimedOut } else { io::ErrorKind::NotConnected };
    let hint = if cause.is_connection_refusal() {
        "; is it running there, and is this its port?"
    } else if mute {
        "; it wants TLS (rediss://) where REDIS_URL does not, or the other way round, or has no room (`maxclients`)?"
    } else {
        ""
    };
    QueueError::Unreachable(io::Error::new(kind, format!("{address} (REDIS_URL): {cause}{hint}")).into())
}

/// Reads a line of CLUSTER NODES: id, host:port@bus[,name], flags, …
fn node_of(line: &str, pattern: &ConnectionInfo) -> Option<(ConnectionInfo, bool)> {
    let mut words = line.split(' ');
    let place = words.nth(1)?.split(['@', ',']).next()?;
    let flags: Vec<&str> = words.next()?.split(',').collect();
    if flags.iter().any(|flag| matches!(*flag, "fail" | "fail?" | "noaddr" | "handshake")) {
        return None;
    }
    let (host, port) = place.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let host = host.trim_matches(['[', ']']).to_owned();
    Some((pattern.clone().set_addr(at(pattern, host, port)), flags.contains(&"master")))
}
