//! Taking suspects: jobs that twice saw their process crash. One at a time in the whole process, outside of the turns, so
//! that ordinary work pays nothing for them.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};

use super::{Command, Session, Token};
use crate::{
    claim::Claimed,
    error::QueueError,
    id::JobId,
    record::JobRecord,
    script,
    wire::{self, Names},
};

const REPEAT_AFTER: Duration = Duration::from_millis(100);

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
    let mut sequence: u64 = 0;
    loop {
        session.suspects_wait.notified().await;
        let mut found = session.suspects_in_hand.load(Ordering::Acquire) > 0;
        for shard in 0..session.client.shards() {
            if session.suspects_in_hand.load(Ordering::Acquire) > 0 || !session.claiming.load(Ordering::Acquire) {
                break;
            }
            sequence += 1;
            let asked = Instant::now();
            // The first answer counts: one that was lost may have given a suspect out.
            let answer = loop {
                match ask(&session, shard, sequence, asked).await {
                    Err(error) if error.is_transient() => tokio::time::sleep(REPEAT_AFTER).await,
                    answer => break answer,
                }
            };
            match answer {
                Ok(Some(suspect)) => {
                    found = true;
                    // Some were withdrawn by a process that was only slow: these are ordinary again.
                    if suspect.record.as_ref().is_ok_and(|record| record.crashes >= Claimed::SUSPECT_FROM) {
                        session.suspects_in_hand.store(1, Ordering::Release);
                    }
                    let _ = session.commands.send(Command::Suspect(Box::new(suspect)));
                }
                Ok(None) => {}
                Err(error) => tracing::error!(shard, %error, "a suspect could not be taken"),
            }
        }
        if !found {
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }
}

async fn ask(session: &Session, shard: u16, sequence: u64, asked: Instant) -> Result<Option<Suspect>, QueueError> {
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
