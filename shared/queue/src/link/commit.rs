//! Calls that count only when replicas have them.

use std::time::{Duration, Instant};

use futures::FutureExt;
use redis::{RedisError, Value};

use super::{Args, Link, Via, call_of, connection::Connection, homes, refused, unknown_script};
use crate::{error::QueueError, keys, script::Script, wire};

/// How long replicas may take to confirm. Longer than any hiccup, shorter than callers wait.
const CONFIRM_WITHIN: Duration = Duration::from_secs(1);

impl Link {
    /// Calls a script and, if so configured, waits until replicas confirm what it wrote. If they do not, the call was carried
    /// out all the same, and counts as unanswered: its caller repeats it.
    pub(crate) async fn commit(&self, via: Via, script: &Script, shard: u16, args: &Args) -> Result<Value, QueueError> {
        let Some(connection) = &self.server(shard)?.commits else {
            return self.call_in(via, script, shard, args).await;
        };
        let answer = self.confirmed(connection, script, shard, args).boxed().await;
        if !homes::moved(&answer) {
            return answer.map_err(|error| refused(error, script, shard));
        }
        self.look_again().boxed().await?;
        match &self.server(shard)?.commits {
            Some(connection) => self.confirmed(connection, script, shard, args).boxed().await,
            None => self.call_in(via, script, shard, args).await,
        }
    }

    async fn confirmed(
        &self,
        connection: &Connection,
        script: &Script,
        shard: u16,
        args: &Args,
    ) -> Result<Value, QueueError> {
        let asked = Instant::now();
        let answer = match self.attempt(connection, script, shard, args, false).await {
            Err(error) if unknown_script(&error) => self.attempt(connection, script, shard, args, true).await,
            answer => answer,
        };
        script.took(asked, answer.is_ok());
        Ok(answer?)
    }

    /// The three commands travel together, so that they share a connection and with it what WAIT waits for.
    async fn attempt(
        &self,
        connection: &Connection,
        script: &Script,
        shard: u16,
        args: &Args,
        whole: bool,
    ) -> Result<Value, RedisError> {
        let mut commands = redis::pipe();
        commands.add_command(call_of(script, whole, &keys::jobs(shard), args));
        // A repeat writes nothing by itself, and on a new connection WAIT would have nothing to wait for.
        commands.cmd("SET").arg(keys::fence(shard)).arg(1);
        commands.cmd("WAIT").arg(self.0.replicas).arg(CONFIRM_WITHIN.as_millis().to_string());
        let mut answers = connection.ask_all(&commands).await?.into_iter();
        let mut next = || answers.next().unwrap_or(Value::Nil).extract_error();
        let answer = next()?;
        next()?;
        let confirmed = wire::integer(&next()?).unwrap_or_default();
        if confirmed < i64::from(self.0.replicas) {
            let told = format!("{confirmed} of {} replicas confirmed the write", self.0.replicas);
            return Err(redis::make_extension_error("NOREPLICAS".to_owned(), Some(told)));
        }
        Ok(answer)
    }
}
