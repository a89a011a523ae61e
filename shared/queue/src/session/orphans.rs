//! Runs of this session that nobody here runs. A Redis that lost its last writes (a replica that took over, a log that was not
//! synced) has forgotten outcomes it had confirmed: it shows the job as running under a session that lives, so nobody would
//! ever rescue it.
//!
//! Between two turns the driver knows exactly what it holds in a shard: what handlers have, and the outcomes that wait for the
//! next turn. Whatever else the shard shows under the session is given back, without an attempt, to run again. Suspects come by
//! calls of their own, and are left out while one is under way.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use super::{Session, Token};
use crate::{error::QueueError, id::JobId, script, wire};

/// How often a shard is compared if nothing calls for it.
pub(super) const EVERY: Duration = Duration::from_secs(30);
/// After a reconnect the shard is compared once more after this time: by then a new master is known.
const SETTLED: Duration = Duration::from_secs(3);

/// When a shard is to be compared next.
pub(super) struct Due(Instant);

impl Default for Due {
    fn default() -> Self {
        Self(Instant::now() + spread(EVERY))
    }
}

/// Up to an eighth later, so that not all shards are compared in the same moment: a shard gives no job meanwhile.
fn spread(least: Duration) -> Duration {
    least.mul_f64(rand::random_range(1.0..1.125))
}

impl Due {
    /// Whether it is time; if so, the next time is a round later.
    pub(super) fn take(&mut self) -> bool {
        let due = Instant::now() >= self.0;
        if due {
            *self = Self::default();
        }
        due
    }

    /// A connection was made again, perhaps to a server that knows less.
    pub(super) fn soon(&mut self) {
        self.0 = self.0.min(Instant::now() + spread(SETTLED));
    }
}

/// What a shard shows as held by the session.
pub(super) struct Held {
    pub(super) shard: u16,
    pub(super) token: Token,
    /// Calls for suspects before it was asked, if suspects are among what it shows.
    suspect_calls: Option<u64>,
    /// Jobs and their epochs.
    runs: Vec<(JobId, u32)>,
}

impl Held {
    /// Those that are neither in a handler's hands nor among the outcomes that wait.
    pub(super) fn orphans(&self, running: &HashSet<JobId>, settled: &HashSet<JobId>) -> Vec<(JobId, u32)> {
        self.runs.iter().filter(|(id, _)| !running.contains(id) && !settled.contains(id)).copied().collect()
    }

    /// Whether it may show a suspect that is still on its way here.
    pub(super) fn shows_a_suspect_on_its_way(&self, session: &Session) -> bool {
        let calls = session.suspect_calls(self.shard).load(Ordering::Acquire);
        self.suspect_calls.is_some_and(|before| before != calls)
    }
}

/// Asks a shard what the session holds there. No turn may be on its way to it meanwhile.
pub(super) async fn look(session: Arc<Session>, shard: u16) -> Held {
    let token = session.token(shard);
    let calls = session.suspect_calls(shard).load(Ordering::Acquire);
    let suspect_calls = calls.is_multiple_of(2).then_some(calls);
    let runs = read(&session, shard, token, suspect_calls.is_some()).await.unwrap_or_else(|error| {
        tracing::debug!(shard, %error, "what the session holds was not read; it will be asked again");
        Vec::new()
    });
    Held { shard, token, suspect_calls, runs }
}

async fn read(session: &Session, shard: u16, token: Token, suspects: bool) -> Result<Vec<(JobId, u32)>, QueueError> {
    let args = vec![token.to_vec(), if suspects { "1" } else { "0" }.into()];
    let answer = session.client.link().call(&script::HELD, shard, &args).await?;
    let answer = wire::list(answer)?;
    let mut runs = Vec::with_capacity(answer.len() / 2);
    for run in answer.chunks_exact(2) {
        let epoch = u32::try_from(wire::integer(&run[1])?)
            .map_err(|_| QueueError::Corrupt("an epoch is no 32-bit number".to_owned()))?;
        runs.push((JobId::from_tail(shard, &wire::bytes(run[0].clone())?)?, epoch));
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_or_has_ended_here_is_no_orphan() {
        let id = |n: u8| JobId::from_tail(3, &[n; 14]).expect("14 bytes");
        let held = Held {
            shard: 3,
            token: Token::default(),
            suspect_calls: None,
            runs: vec![(id(1), 1), (id(2), 5), (id(3), 1)],
        };
        let orphans = held.orphans(&HashSet::from([id(1)]), &HashSet::from([id(3)]));
        assert_eq!(orphans, [(id(2), 5)]);
    }
}
