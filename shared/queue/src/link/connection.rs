//! A connection to one server that mends itself, whatever kind of server it is.

use std::sync::Arc;

use futures::FutureExt;
use redis::{
    Cmd, FromRedisValue, Pipeline, RedisError, Value,
    aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig, MultiplexedConnection},
    cluster_async::ClusterConnection,
};

use super::{
    ANSWER_TIMEOUT, CONNECT_TIMEOUT, RECONNECT_EVERY, clustered::Clustered, following::Following, line::Lines,
};
use crate::{address::Address, error::QueueError};

const RECONNECT_TRIES: usize = 5;
const BUFFER: usize = 1024;

#[derive(Clone)]
pub(super) enum Connection {
    Fixed(ConnectionManager, Option<Arc<Lines>>),
    Following(Following),
    Cluster(Clustered),
}

impl Connection {
    pub(super) async fn open(address: &Address) -> Result<Self, QueueError> {
        match address {
            Address::Single(client) => {
                let config = ConnectionManagerConfig::new()
                    .set_min_delay(std::time::Duration::from_millis(20))
                    .set_max_delay(RECONNECT_EVERY)
                    .set_number_of_retries(RECONNECT_TRIES)
                    .set_pipeline_buffer_size(BUFFER)
                    .set_connection_timeout(Some(CONNECT_TIMEOUT))
                    .set_response_timeout(Some(ANSWER_TIMEOUT));
                let shared = ConnectionManager::new_with_config(client.clone(), config).await?;
                Ok(Self::Fixed(shared, Lines::to(client).map(Arc::new)))
            }
            Address::Sentinel { sentinels, master, node } => {
                Ok(Self::Following(Following::open(sentinels, master, node).await?))
            }
            Address::Cluster { nodes } => Ok(Self::Cluster(Clustered::open(nodes).await?)),
        }
    }

    /// Runs a command. A restarted server is noticed by the first command that finds its connection broken: that one is
    /// asked again on the new connection, because every command of ours may be carried out twice.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        match self {
            Self::Fixed(manager, _) => {
                let mut manager = manager.clone();
                match command.query_async(&mut manager).await {
                    Err(error) if error.is_connection_dropped() => command.query_async(&mut manager).await,
                    answer => answer,
                }
            }
            Self::Following(following) => {
                let call = |mut connection: MultiplexedConnection| {
                    async move { connection.req_packed_command(command).await?.extract_error() }.boxed()
                };
                Ok(redis::from_redis_value(following.run(call).await?)?)
            }
            Self::Cluster(cluster) => {
                let call = |mut connection: ClusterConnection| {
                    async move { connection.req_packed_command(command).await?.extract_error() }.boxed()
                };
                Ok(redis::from_redis_value(cluster.run(call).await?)?)
            }
        }
    }

    /// The same, driven by the caller's own task where that is possible: sooner for a call that comes alone, of no use for
    /// many at a time.
    pub(super) async fn ask_here(&self, command: &Cmd) -> Result<Value, RedisError> {
        let Self::Fixed(_, Some(lines)) = self else {
            return self.ask(command).await;
        };
        if let Some(answer) = lines.ask(command).await {
            return answer;
        }
        let answer = self.ask(command).await;
        if answer.is_ok() {
            lines.extend().await;
        }
        answer
    }

    /// Runs commands of one slot, one after another on one connection; an answer may be an error of its own.
    pub(super) async fn ask_all(&self, commands: &Pipeline) -> Result<Vec<Value>, RedisError> {
        let many = commands.cmd_iter().count();
        match self {
            Self::Fixed(manager, _) => {
                let mut manager = manager.clone();
                match manager.req_packed_commands(commands, 0, many).await {
                    Err(error) if error.is_connection_dropped() => manager.req_packed_commands(commands, 0, many).await,
                    answer => answer,
                }
            }
            Self::Following(following) => {
                let call = |mut connection: MultiplexedConnection| {
                    async move { connection.req_packed_commands(commands, 0, many).await }.boxed()
                };
                following.run(call).await
            }
            Self::Cluster(cluster) => {
                let call = |mut connection: ClusterConnection| {
                    async move { connection.req_packed_commands(commands, 0, many).await }.boxed()
                };
                cluster.run(call).await
            }
        }
    }
}
