//! A connection to one server that mends itself, whatever kind of server it is.

use std::sync::Arc;

use futures::FutureExt;
use redis::{
    Cmd, FromRedisValue, Pipeline, RedisError, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster_async::ClusterConnection,
};

use super::{
    clustered::Clustered,
    following::{self, Following},
    line::Lines,
    timed_out,
};
use crate::{address::Address, error::QueueError};

#[derive(Clone)]
pub(super) enum Connection {
    /// To one server, or to the master of several, with lines to it where that is possible.
    Following(Arc<Following>, Option<Arc<Lines>>),
    Cluster(Clustered),
}

impl Connection {
    pub(super) async fn open(address: &Address) -> Result<Self, QueueError> {
        match address {
            Address::Single(_) | Address::Sentinel { .. } => {
                let lines = if let Address::Single(client) = address { Lines::to(client).map(Arc::new) } else { None };
                Ok(Self::Following(Arc::new(Following::open(address).await?), lines))
            }
            Address::Cluster { nodes } => Ok(Self::Cluster(Clustered::open(nodes).await?)),
        }
    }

    /// Runs a command. A restarted server is noticed by the first command that finds its connection broken: that one is
    /// asked again on the new connection, because every command of ours may be carried out twice.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        match self {
            Self::Following(following, _) => {
                let call = |mut connection: MultiplexedConnection| {
                    async move { connection.req_packed_command(command).await?.extract_error() }.boxed()
                };
                Ok(redis::from_redis_value(following.run(call).await?)?)
            }
            Self::Cluster(cluster) => {
                let call = |mut connection: ClusterConnection| {
                    async move { connection.req_packed_command(command).await?.extract_error() }.boxed()
                };
                Ok(redis::from_redis_value(cluster.run(Some(command), call).await?)?)
            }
        }
    }

    /// The same, driven by the caller's own task where that is possible: sooner for a call that comes alone, of no use for
    /// many at a time.
    pub(super) async fn ask_here(&self, command: &Cmd) -> Result<Value, RedisError> {
        let Self::Following(_, Some(lines)) = self else {
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
            Self::Following(following, _) => {
                let call = |mut connection: MultiplexedConnection| {
                    async move {
                        let answers = connection.req_packed_commands(commands, 0, many).await?;
                        // One answer that says so is enough to look for the master.
                        match answers.iter().find(|answer| following::is_of_no_master(answer)) {
                            Some(refusal) => Err(refusal.clone().extract_error().err().unwrap_or_else(timed_out)),
                            None => Ok(answers),
                        }
                    }
                    .boxed()
                };
                following.run(call).await
            }
            Self::Cluster(cluster) => {
                let call = |mut connection: ClusterConnection| {
                    async move { connection.req_packed_commands(commands, 0, many).await }.boxed()
                };
                cluster.run(commands.cmd_iter().next(), call).await
            }
        }
    }

    /// Sees whether the Sentinels, if there are any, name another master.
    pub(super) async fn look(&self) {
        if let Self::Following(following, _) = self {
            following.look().await;
        }
    }

    /// How often it was made anew; not told of a cluster's.
    pub(super) fn number(&self) -> u64 {
        if let Self::Following(following, _) = self { following.number() } else { 0 }
    }
}
