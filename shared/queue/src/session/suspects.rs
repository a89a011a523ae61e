//! Taking suspects: jobs that twice saw their process crash. One at a time in the whole process, outside of the turns, so
//! that ordinary work pays nothing for them.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::timeout;

use super::{Command, Session, Settling, Token};
use crate::{
    claim::Claimed,
    error::QueueError,
    id::JobId,
    record::JobRecord,
    script,
    wire::{self, Names},
};

const REPEAT_AFTER: Duration = Duration::from_millis(100);

/// A shard that has not answered for so long is not waited for before others are asked.
const PATIENCE: Duration = Duration::from_millis(250);

/// A round that brought nothing is not repeated sooner: what waits may be of queues that are paused or served by others.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// A suspect that a shard gave out.
pub(crate) struct Suspect {
    /// The job, or what to bury because it cannot be read.
    pub(super) record: Result<JobRecord, (JobId, u32, String)>,
    pub(super) token: Token,
    pub(super) now: DateTime<Utc>,
    /// Since when it was asked for.
    pub(super) asked: Instant,
}

/// Whenever suspects are said to wait and none is in hand, asks all shards for one.
pub(super) async fn take(session: Arc<Session>) {
    let mut asking = Asking { session, sequence: 0, late: FuturesUnordered::new(), late_at: HashSet::new() };
    loop {
        tokio::select! {
            Some((shard, answer)) = asking.late.next(), if !asking.late.is_empty() => {
                asking.late_at.remove(&shard);
                asking.received(shard, answer);
            }
            () = asking.session.suspects_wait.notified() => asking.round().await,
        }
    }
}

type Answer = Result<Option<Suspect>, QueueError>;

struct Asking {
    session: Arc<Session>,
    sequence: u64,
    /// Calls that are not answered in time: at most one a shard.
    late: FuturesUnordered<BoxFuture<'static, (u16, Answer)>>,
    late_at: HashSet<u16>,
}

impl Asking {
    async fn round(&mut self) {
        let mut found = self.has_one();
        for shard in 0..self.session.client.shards() {
            if self.has_one() || !self.session.claiming.load(Ordering::Acquire) {
                break;
            }
            if self.late_at.contains(&shard) {
                continue;
            }
            self.sequence += 1;
            self.session.suspect_calls(shard).fetch_add(1, Ordering::AcqRel);
            let mut call = until_answered(Arc::clone(&self.session), shard, self.sequence).boxed();
            if let Ok((shard, answer)) = timeout(PATIENCE, &mut call).await {
                found |= self.received(shard, answer);
            } else {
                self.late.push(call);
                self.late_at.insert(shard);
            }
        }
        if !found {
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    fn has_one(&self) -> bool {
        self.session.suspects_in_hand.load(Ordering::Acquire) > 0
    }

    /// Hands out what a shard gave, if it gave any.
    fn received(&self, shard: u16, answer: Answer) -> bool {
        let command = match answer {
            Ok(None) => None,
            Err(error) => {
                tracing::error!(shard, %error, "a suspect could not be taken");
                None
            }
            Ok(Some(Suspect { record: Ok(record), token, .. }))
                if is_suspect(&record) && (self.has_one() || !self.session.claiming.load(Ordering::Acquire)) =>
            {
                Some(Command::GiveBack(Box::new(Settling::release(record.id, record.epoch, token))))
            }
            Ok(Some(suspect)) => {
                // Some were withdrawn by a process that was only slow: these are ordinary again.
                if suspect.record.as_ref().is_ok_and(is_suspect) {
                    self.session.suspects_in_hand.store(1, Ordering::Release);
                }
                Some(Command::Suspect(Box::new(suspect)))
            }
        };
        let found = command.is_some();
        command.map(|command| self.session.commands.send(command));
        // After that, so that the driver knows of the suspect when it finds that no call is under way.
        self.session.suspect_calls(shard).fetch_add(1, Ordering::AcqRel);
        found
    }
}

fn is_suspect(record: &JobRecord) -> bool {
    record.crashes >= Claimed::SUSPECT_FROM
}

/// Asks a shard until it answers. The first answer counts: one that was lost may have given a suspect out.
async fn until_answered(session: Arc<Session>, shard: u16, sequence: u64) -> (u16, Answer) {
    let asked = Instant::now();
    loop {
        match ask(&session, shard, sequence, asked).await {
            Err(error) if error.is_transient() => tokio::time::sleep(REPEAT_AFTER).await,
            answer => return (shard, answer),
        }
    }
}

async fn ask(session: &Session, shard: u16, sequence: u64, asked: Instant) -> Answer {
    let token = session.token(shard);
    let mut args = vec![token.to_vec(), sequence.to_string().into_bytes()];
    args.extend(session.config.queues.iter().map(|queue| queue.as_str().as_bytes().to_vec()));
    let values = wire::list(session.client.link().call(&script::SUSPECT, shard, &args).await?)?;
    if values.len() == 1 {
        return Ok(None); // the session is not open there; the heartbeat sees to it
    }
    let [_, jobs, lanes, kinds, now] =
        values.try_into().map_err(|_| QueueError::Corrupt("a suspect in an answer of another shape".to_owned()))?;
    let names = Names::read(lanes, kinds)?;
    let mut job = wire::list(jobs)?.into_iter();
    let (Some(tail), Some(raw)) = (job.next(), job.next()) else {
        return Ok(None);
    };
    let (id, raw) = (JobId::from_tail(shard, &wire::bytes(tail)?)?, wire::bytes(raw)?);
    let now = wire::time(wire::integer(&now)?.unsigned_abs())?;
    let record = wire::claimed(id, &raw, &names, now).map_err(|error| (id, wire::epoch(&raw), error.to_string()));
    Ok(Some(Suspect { record, token, now, asked }))
}
