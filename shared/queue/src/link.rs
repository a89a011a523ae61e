//! The connection to Redis: calls scripts, reconnects by itself.

use std::time::Duration;

use redis::{
    Client, Value,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

use crate::{error::QueueError, keys, script::Script};

/// How long an answer may take before the call counts as unanswered.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Reconnecting is tried at this distance at most, so that a returned server is found within it.
const RECONNECT_EVERY: Duration = Duration::from_millis(200);
const RECONNECT_TRIES: usize = 5;

/// Arguments of a script call after its key.
pub(crate) type Args = Vec<Vec<u8>>;

#[derive(Clone)]
pub(crate) struct Link {
    client: Client,
    connection: ConnectionManager,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link") // the client's own form could show a password
    }
}

impl Link {
    pub(crate) async fn open(url: &str) -> Result<Self, QueueError> {
        let client = Client::open(url).map_err(|error| QueueError::invalid("Redis URL", error.to_string()))?;
        let config = ConnectionManagerConfig::new()
            .set_min_delay(Duration::from_millis(20))
            .set_max_delay(RECONNECT_EVERY)
            .set_number_of_retries(RECONNECT_TRIES)
            .set_pipeline_buffer_size(1024)
            .set_connection_timeout(Some(Duration::from_secs(2)))
            .set_response_timeout(Some(ANSWER_TIMEOUT));
        let connection = ConnectionManager::new_with_config(client.clone(), config).await?;
        Ok(Self { client, connection })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Runs a plain command.
    pub(crate) async fn command<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, QueueError> {
        Ok(self.ask(command).await?)
    }

    /// Calls a script on a shard. Calls made at the same time share round trips.
    pub(crate) async fn call(&self, script: &Script, shard: u16, args: &Args) -> Result<Value, QueueError> {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&script.sha).arg(1).arg(keys::jobs(shard));
        for arg in args {
            command.arg(arg.as_slice());
        }
        match self.ask(&command).await {
            Err(error) if error.code() == Some("NOSCRIPT") => {
                let mut load = redis::cmd("SCRIPT");
                load.arg("LOAD").arg(&script.text);
                let _: String = self.ask(&load).await?;
                Ok(self.ask(&command).await?)
            }
            answer => answer.map_err(|error| {
                let error = QueueError::from(error);
                if let QueueError::Refused(cause) = &error {
                    tracing::error!(script = script.name, shard, error = %cause, "script refused");
                }
                error
            }),
        }
    }

    /// A restarted server is noticed by the first command that finds its connection broken. That one is asked again on the
    /// new connection: every command of ours may be carried out twice, because jobs have their ids and turns their numbers.
    async fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, redis::RedisError> {
        let mut connection = self.connection.clone();
        match command.query_async(&mut connection).await {
            Err(error) if error.is_connection_dropped() => command.query_async(&mut connection).await,
            answer => answer,
        }
    }
}
