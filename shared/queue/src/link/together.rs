//! Calls that Redis carries out one after the other, in one go.
//!
//! With `appendfsync always` Redis goes to the disk before it answers, once for whatever it did since the last time: large calls
//! come in one by one, because it reads only as much of a connection at a time as one of them holds. Those of a transaction
//! are carried out when the last of them is there, and share the way to the disk.

use std::time::Instant;

use redis::Value;

use super::{Args, Link, call_of, unknown_script};
use crate::{error::QueueError, keys, script::Script};

impl Link {
    /// Calls scripts of one shard in this order. An answer is missing where that call was refused, or may not have been carried
    /// out: it is to be made by itself, which
    /// tells why. All are missing where calls cannot go together: in a cluster, and if replicas must confirm each.
    pub(crate) async fn call_together(
        &self,
        shard: u16,
        calls: &[(&Script, &Args)],
    ) -> Result<Vec<Option<Value>>, QueueError> {
        let server = self.server(shard)?;
        let mut answers = vec![None; calls.len()];
        if calls.len() < 2 || server.is_cluster() || server.commits.is_some() {
            return Ok(answers);
        }
        let key = keys::jobs(shard);
        for whole in [false, true] {
            let mut commands = redis::pipe();
            commands.cmd("MULTI");
            for (script, args) in calls {
                commands.add_command(call_of(script, whole, &key, args));
            }
            commands.cmd("EXEC");
            let asked = Instant::now();
            let told = server.connection.ask_all(&commands).await?.pop();
            let Some(Value::Array(told)) = told else {
                return Ok(answers); // refused before any was carried out, or by whom transactions are forbidden
            };
            let told: Vec<_> = told.into_iter().map(Value::extract_error).collect();
            if !whole && told.iter().any(|answer| answer.as_ref().is_err_and(unknown_script)) {
                continue;
            }
            for ((place, answer), (script, _)) in answers.iter_mut().zip(told).zip(calls) {
                *place = answer.ok();
                script.took(asked, place.is_some());
            }
            break;
        }
        Ok(answers)
    }
}
