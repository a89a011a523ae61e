//! Maintenance, in bounded steps that every worker and the scheduler take.

use std::{collections::BTreeMap, time::Duration};

use futures::future::join_all;

use super::QueueClient;
use crate::{error::QueueError, id::JobId, link::Args, script, wire};

/// Time to live of a session that nobody configured, and the grace that all sessions get after an outage.
pub(crate) const SESSION_TTL: Duration = Duration::from_secs(6);

/// What one maintenance step found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ticked {
    /// Jobs whose time had come.
    pub promoted: u64,
    /// Jobs taken back from dead sessions.
    pub rescued: u64,
    /// Scopes whose time had come; each wakes the first of the lanes that wait for it.
    pub unparked: u64,
    /// Expired records removed.
    pub pruned: u64,
    /// Whether some shard has more to do at once.
    pub more: bool,
    /// How long until the next job is due or a scope may give again, if one is known.
    pub next_due: Option<Duration>,
    /// Whether suspects wait for a worker that [takes them](crate::WorkerConfig::take_suspects).
    pub suspects: bool,
}

impl Ticked {
    pub(super) fn add(&mut self, other: &Self) {
        self.promoted += other.promoted;
        self.rescued += other.rescued;
        self.unparked += other.unparked;
        self.pruned += other.pruned;
        self.more |= other.more;
        self.suspects |= other.suspects;
        self.next_due = self.next_due.into_iter().chain(other.next_due).min();
    }
}

impl QueueClient {
    /// One bounded step of maintenance in every shard: promotes due jobs, rescues the jobs of dead sessions, unparks lanes,
    /// prunes expired records. Workers take these steps by themselves, each looking first whether one is due.
    pub async fn tick(&self) -> Result<Ticked, QueueError> {
        let servers = 0..self.link().servers();
        let mut ticked = Ticked::default();
        let mut failed = None;
        // A server that is away must not keep the others from their maintenance.
        for of_server in join_all(servers.map(|server| self.tick_server(server))).await {
            match of_server {
                Ok(of_server) => ticked.add(&of_server),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(ticked), Err)
    }

    /// The same in the shards of one server.
    async fn tick_server(&self, server: usize) -> Result<Ticked, QueueError> {
        let mut ticked = Ticked::default();
        let shards = self.link().shards_of(server).into_iter();
        let mut failed = None;
        for of_shard in join_all(shards.map(|shard| self.tick_shard(shard))).await {
            match of_shard {
                Ok(of_shard) => ticked.add(&of_shard),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if ticked.rescued > 0 {
            tracing::warn!(jobs = ticked.rescued, "took back the jobs of a dead session");
        }
        failed.map_or(Ok(ticked), Err)
    }

    pub(super) async fn tick_shard(&self, shard: u16) -> Result<Ticked, QueueError> {
        let percent = self.0.memory_percent;
        let protocol = self.link().protocol();
        let args = [SESSION_TTL.as_millis().to_string(), percent.to_string(), protocol.to_string()];
        let args = args.map(String::into_bytes).into();
        let answer = self.link().call(&script::TICK, shard, &args).await?;
        let mut numbers = [0; 7];
        for (number, value) in numbers.iter_mut().zip(wire::list(answer)?) {
            *number = wire::integer(&value)?;
        }
        let [promoted, rescued, unparked, pruned, more, next_due, suspects] = numbers;
        Ok(Ticked {
            promoted: promoted.unsigned_abs(),
            rescued: rescued.unsigned_abs(),
            unparked: unparked.unsigned_abs(),
            pruned: pruned.unsigned_abs(),
            more: more == 1,
            next_due: u64::try_from(next_due).ok().map(Duration::from_millis),
            suspects: suspects == 1,
        })
    }

    /// Tells that these dead letters have their row: from now on the row owns them. Repeats do no harm.
    pub async fn dead_archived(&self, letters: &[(JobId, u64)]) -> Result<(), QueueError> {
        let mut by_shard: BTreeMap<u16, Vec<Args>> = BTreeMap::new();
        for (id, number) in letters {
            let calls = by_shard.entry(id.shard()).or_default();
            let pair = [id.tail().to_vec(), number.to_string().into_bytes()];
            match calls.last_mut() {
                Some(args) if args.len() < script::MAX_ITEMS => args.extend(pair),
                _ => calls.push(pair.into()),
            }
        }
        for (shard, calls) in by_shard {
            for mut args in calls {
                while !args.is_empty() {
                    let answer = self.link().call(&script::ARCHIVE_DEAD, shard, &args).await?;
                    let looked_at = usize::try_from(wire::integer(&answer)?).unwrap_or_default().max(1);
                    args.drain(..args.len().min(2 * looked_at));
                }
            }
        }
        Ok(())
    }
}
