//! What this process had accepted a moment ago, to be brought again after a change of master: a replica that was promoted, or
//! a server that lost the end of its log, may never have heard of it.
//!
//! Jobs are created if absent, so what is still there, or has ended, stays as it is. Of those with one unique key the newest is
//! brought again, and the one whose place it took. The promise has bounds: it holds while this process lives, for jobs created in
//! the [`WINDOW`] before their server was last seen unchanged, and for the newest [`MAX_ENTRIES`] of them or [`MAX_BYTES`]. A job
//! that had also ended, and whose end was lost with it, runs again, as after any lost completion; one whose record may have expired
//! meanwhile is not brought again.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use futures::future::join_all;
use tokio::{sync::Notify, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    enqueue::{self, Ready},
    load,
};
use crate::{
    error::QueueError,
    job::Enqueued,
    link::{Args, Link, Via},
    script, wire,
};

/// Longer than a replica lags behind; as long as `min-replicas-max-lag`, after which a lonely master takes no more writes.
const WINDOW: Duration = Duration::from_secs(10);
const MAX_ENTRIES: usize = 10_000;
const MAX_BYTES: usize = 32 << 20;
/// Servers with recent jobs are asked who they are at this distance.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A record's time is measured by Redis's clock.
const MARGIN: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub(super) struct Recent(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    kept: Arc<Notify>,
    stop: CancellationToken,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Oldest first.
#[derive(Debug, Default)]
struct State {
    entries: VecDeque<Entry>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    shard: u16,
    accepted: Instant,
    /// When it was accepted or brought again last.
    sent: Instant,
    bytes: usize,
    what: What,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are jobs, and a box for each would cost more")]
enum What {
    Job {
        ready: Ready,
        /// Whether it took the place of one that waited.
        replaced: bool,
    },
    /// A batch was opened or sealed with these arguments.
    Batch(Args),
}

impl State {
    fn push(&mut self, entry: Entry) {
        self.bytes += entry.bytes;
        self.entries.push_back(entry);
        while self.entries.len() > MAX_ENTRIES || self.bytes > MAX_BYTES {
            self.bytes -= self.entries.pop_front().map_or(self.bytes, |oldest| oldest.bytes);
        }
    }

    /// Takes out all of a shard.
    fn take(&mut self, shard: u16) -> Vec<Entry> {
        let (gone, kept) =
            std::mem::take(&mut self.entries).into_iter().partition::<Vec<_>, _>(|entry| entry.shard == shard);
        self.entries = kept.into();
        self.bytes -= gone.iter().map(|entry| entry.bytes).sum::<usize>();
        gone
    }

    /// Takes out what stands before the first that `wanted` names, and touches nothing else: callers wait meanwhile.
    fn take_until(&mut self, wanted: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let many = self.entries.iter().position(wanted).unwrap_or(self.entries.len());
        let gone: Vec<Entry> = self.entries.drain(..many).collect();
        self.bytes -= gone.iter().map(|entry| entry.bytes).sum::<usize>();
        gone
    }
}

impl Recent {
    pub(super) fn start(link: &Link, shards: u16, tasks: &TaskTracker) -> Self {
        let shared = Arc::new(Shared::default());
        let watch = watch(Arc::downgrade(&shared), Arc::clone(&shared.kept), link.clone(), shards);
        let stop = shared.stop.clone();
        tasks.spawn(async move {
            stop.run_until_cancelled(watch).await;
        });
        Self(shared)
    }

    /// Remembers the jobs that were created, or took the place of others.
    pub(super) fn keep(&self, jobs: impl IntoIterator<Item = Ready>, answers: &[Enqueued]) {
        let now = Instant::now();
        let mut state = self.0.state();
        for (ready, answer) in jobs.into_iter().zip(answers) {
            let replaced = matches!(answer, Enqueued::Replaced(_));
            if replaced || matches!(answer, Enqueued::Created(_)) {
                let (shard, bytes) = (ready.id.shard(), load::weight(&ready.job));
                let what = What::Job { ready: ready.accepted(), replaced };
                state.push(Entry { shard, accepted: now, sent: now, bytes, what });
            }
        }
        drop(state);
        self.0.kept.notify_one();
    }

    pub(super) fn keep_batch(&self, shard: u16, args: Args) {
        let now = Instant::now();
        let bytes = args.iter().map(Vec::len).sum();
        self.0.state().push(Entry { shard, accepted: now, sent: now, bytes, what: What::Batch(args) });
        self.0.kept.notify_one();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By shard, whether something of it is remembered.
    fn held(&self, shards: u16) -> Vec<bool> {
        let mut held = vec![false; usize::from(shards)];
        self.state().entries.iter().for_each(|entry| held[usize::from(entry.shard)] = true);
        held
    }

    /// Brings again what was accepted in this shard, in the same order.
    async fn bring_again(&self, link: &Link, shard: u16) -> Result<(), QueueError> {
        let entries = newest_of_each_key(self.state().take(shard));
        let all = entries.len();
        let mut created = 0;
        let mut left: VecDeque<Entry> = entries.into();
        let mut sent = Vec::with_capacity(all);
        let mut failed = None;
        while let Some(entry) = left.pop_front() {
            let mut group = vec![entry];
            let answer = match &group[0].what {
                What::Batch(args) => enqueue::call(link, Via::Shared, &script::BATCH, shard, args).await.map(drop),
                What::Job { .. } if group[0].job().is_none() => Ok(()),
                What::Job { ready: first, .. } => {
                    let next = left.iter().map_while(Entry::job);
                    let many = load::of_one_call(std::iter::once(first).chain(next).map(|ready| &ready.job));
                    group.extend(left.drain(..many - 1));
                    let jobs: Vec<&Ready> = group.iter().filter_map(Entry::job).collect();
                    enqueue::send(link, Via::Shared, shard, &jobs).await.map(|answers| {
                        created += answers.iter().filter(|answer| matches!(answer, Enqueued::Created(_))).count();
                    })
                }
            };
            match answer {
                Ok(()) => sent.append(&mut group),
                Err(error) => {
                    group.into_iter().rev().for_each(|entry| left.push_front(entry));
                    failed = Some(error);
                    break;
                }
            }
        }
        let now = Instant::now();
        let mut state = self.state();
        for entry in &mut sent {
            entry.sent = now;
        }
        sent.into_iter().chain(left).for_each(|entry| state.push(entry));
        drop(state);
        metrics::counter!("postrider_queue_resubmitted_total").increment(created as u64);
        if let Some(error) = failed {
            return Err(error);
        }
        if all > 0 {
            tracing::warn!(shard, recent = all, created, "another master: brought recent jobs again");
        }
        Ok(())
    }
}

impl Entry {
    /// The job, if its record would still be there had it ended at once, so that bringing it again cannot run it again.
    fn job(&self) -> Option<&Ready> {
        match &self.what {
            What::Job { ready, .. } => (self.accepted.elapsed() + MARGIN < ready.job.keep).then_some(ready),
            What::Batch(_) => None,
        }
    }
}

/// Without jobs that newer ones with the same unique key have made needless: those that were there before a new one was created
/// had begun or ended, and of those that took the place of one that waited, the last counts.
fn newest_of_each_key(entries: Vec<Entry>) -> Vec<Entry> {
    let (mut replaced_by, mut followed) = (HashSet::new(), HashSet::new());
    let mut kept: Vec<bool> = Vec::with_capacity(entries.len());
    for entry in entries.iter().rev() {
        let of_key = match &entry.what {
            What::Job { ready, replaced } => ready.job.unique_key.as_ref().map(|key| (&ready.job, &key.0, *replaced)),
            What::Batch(_) => None,
        };
        kept.push(of_key.is_none_or(|(job, key, replaced)| {
            let name = (&job.tenant, &job.kind, key);
            let newest = if replaced { replaced_by.insert(name) } else { followed.insert(name) };
            newest && !(replaced && followed.contains(&name))
        }));
    }
    entries.into_iter().zip(kept.into_iter().rev()).filter_map(|(entry, kept)| kept.then_some(entry)).collect()
}

/// Looks who the masters are, as long as anybody uses the client.
async fn watch(shared: Weak<Shared>, kept: Arc<Notify>, link: Link, shards: u16) {
    let mut known: Vec<Option<Vec<u8>>> = vec![None; usize::from(shards)];
    loop {
        let Some(recent) = shared.upgrade() else { return };
        let held = recent.held(shards);
        let is_asked = |shard: &u16| held[usize::from(*shard)] || known[usize::from(*shard)].is_none();
        let asked: Vec<u16> = (0..shards).filter(is_asked).collect();
        let looked = Instant::now();
        let answers = join_all(asked.iter().map(|shard| async { (*shard, master(&link, *shard).await) })).await;
        let mut unchanged = vec![false; usize::from(shards)];
        for (shard, answer) in answers {
            let (Ok(id), place) = (answer, usize::from(shard)) else { continue };
            if known[place].is_some() && id.is_some() && known[place] != id {
                // What could not be brought stays, and is brought at the next look.
                if recent.bring_again(&link, shard).await.is_ok() {
                    known[place] = id;
                }
            } else {
                known[place] = id.or(known[place].take());
                unchanged[place] = true;
            }
        }
        if let Some(before) = looked.checked_sub(WINDOW) {
            let wanted = |entry: &Entry| entry.sent >= before || !unchanged[usize::from(entry.shard)];
            let forgotten = recent.state().take_until(wanted);
            drop(forgotten); // not while callers wait
        }
        let idle = recent.state().entries.is_empty();
        drop(recent); // whoever waits here must not keep the client alive
        tokio::time::sleep(LOOK_EVERY).await;
        if idle {
            kept.notified().await;
        }
    }
}

/// The replication id of a shard's master; none if the shard is empty.
async fn master(link: &Link, shard: u16) -> Result<Option<Vec<u8>>, QueueError> {
    let answer = link.call(&script::MASTER, shard, &Args::new()).await?;
    wire::list(answer)?.into_iter().next().map(wire::bytes).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        job::{Job, NewJob, UniqueFor},
        leaping::Server,
        name::{JobKind, QueueName, Tenant},
    };

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Any {}

    impl Job for Any {
        const KIND: JobKind = JobKind::new("any");
        const QUEUE: QueueName = QueueName::new("work");
    }

    #[tokio::test]
    async fn what_is_brought_again_comes_in_full_calls_and_what_may_be_gone_in_none() {
        let server = Server::start();
        let client = server.client().await;
        let job = NewJob::of(Tenant::parse("acme").unwrap(), &Any {}).unwrap();
        let gone = NewJob { keep: Duration::from_secs(1), ..job.clone() };
        client.enqueue_many([vec![gone; 500], vec![job; 500]].concat()).await.unwrap();
        let recent = client.0.enqueuers.recent().clone();
        let redis = client.link().at(0).unwrap();
        let _: redis::Value = redis.command(redis::cmd("CONFIG").arg("RESETSTAT")).await.unwrap();
        recent.0.bring_again(client.link(), 0).await.unwrap();
        let told: redis::Value = redis.command(redis::cmd("INFO").arg("commandstats")).await.unwrap();
        let told = String::from_utf8(wire::bytes(told).unwrap()).unwrap();
        assert!(told.contains("cmdstat_evalsha:calls=2,"), "500 of 1,000, 256 a call: {told}");
        assert_eq!(recent.0.state().entries.len(), 1_000, "all are remembered for another while");
    }

    #[tokio::test]
    async fn of_the_jobs_of_one_key_the_newest_is_brought_again() {
        let server = Server::start();
        let client = server.client().await;
        let job = |key: &str, held, payload: &str| NewJob {
            payload: payload.as_bytes().to_vec(),
            ..NewJob::of(Tenant::parse("acme").unwrap(), &Any {}).unwrap().unique_key(key).unique_for(held)
        };
        let put_off = client.enqueue(job("a", UniqueFor::Replace, "1")).await.unwrap().id();
        for payload in ["2", "3"] {
            let answer = client.enqueue(job("a", UniqueFor::Replace, payload)).await.unwrap();
            assert_eq!(answer, Enqueued::Replaced(put_off));
        }
        let mut newest = vec![(put_off, b"3".to_vec())];
        let mut older = Vec::new();
        for (key, held) in [("b", UniqueFor::WaitingOrRunning), ("c", UniqueFor::Waiting), ("d", UniqueFor::Replace)] {
            let first = client.enqueue(job(key, held, "4")).await.unwrap().id();
            client.cancel(first).await.unwrap();
            older.push(first);
            newest.push((client.enqueue(job(key, held, "5")).await.unwrap().id(), b"5".to_vec()));
        }
        let recent = client.0.enqueuers.recent().clone();
        let redis = client.link().at(0).unwrap();
        for lost in [true, false] {
            if lost {
                let _: redis::Value = redis.command(&redis::cmd("FLUSHALL")).await.unwrap();
            }
            recent.0.bring_again(client.link(), 0).await.unwrap();
            for (id, payload) in &newest {
                assert_eq!(&client.get(*id).await.unwrap().unwrap().payload, payload);
            }
            for id in &older {
                assert!(client.get(*id).await.unwrap().is_none());
            }
        }
    }

    #[test]
    fn what_is_forgotten_stands_before_all_that_is_wanted() {
        let mut state = State::default();
        for (shard, bytes) in [(1, 10), (1, 20), (2, 40), (1, 80)] {
            let now = Instant::now();
            state.push(Entry { shard, accepted: now, sent: now, bytes, what: What::Batch(Args::new()) });
        }
        assert_eq!(state.take_until(|entry| entry.shard == 2).len(), 2);
        assert_eq!((state.entries.len(), state.bytes), (2, 120));
        assert_eq!(state.take(2).len(), 1);
        assert_eq!(state.take_until(|_| false).len(), 1);
        assert_eq!((state.entries.len(), state.bytes), (0, 0));
    }
}
