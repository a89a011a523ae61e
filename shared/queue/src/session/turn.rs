//! One turn: the call, and reading its answer.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use chrono::{DateTime, Utc};

use super::{Command, Session, Settling, Token};
use crate::{
    error::QueueError,
    id::JobId,
    record::JobRecord,
    script,
    wire::{self, Names, Tables},
};

const REPEAT_AFTER: Duration = Duration::from_millis(50);
/// An error that repeating does not mend is reported and repeated slowly: the worker never ends because of it.
const REFUSED_AFTER: Duration = Duration::from_secs(1);

/// Where the number of jobs wanted stands among the arguments.
const WANT: usize = 2;

/// A turn to be sent.
pub(super) struct Turn {
    pub(super) shard: u16,
    pub(super) token: Token,
    pub(super) sequence: u64,
    pub(super) want: usize,
    pub(super) outcomes: Vec<Settling>,
}

/// What a turn brought.
pub(super) enum Answer {
    /// The shard does not know the session.
    Gone,
    /// Outcomes were applied or refused, jobs were claimed.
    Taken {
        /// Per outcome, whether it was refused because the lease was lost.
        stale: Vec<bool>,
        claimed: Vec<JobRecord>,
        /// Claimed jobs that cannot be read, with their epoch, to be buried.
        unreadable: Vec<(JobId, u32, String)>,
        more: bool,
        now: DateTime<Utc>,
    },
}

/// Sends a turn until it is answered.
pub(super) async fn take(session: Arc<Session>, mut turn: Turn) -> (Turn, Answer) {
    let queues = &session.config.queues;
    let mut args = Vec::with_capacity(turn.outcomes.len() + queues.len() + 8);
    args.push(turn.token.to_vec());
    args.push(turn.sequence.to_string().into_bytes());
    args.push(turn.want.to_string().into_bytes());
    let idle = if turn.want > 0 { session.worker.as_str() } else { "" };
    args.push(idle.into());
    args.push(queues.len().to_string().into_bytes());
    args.extend(queues.iter().map(|queue| queue.as_str().as_bytes().to_vec()));
    let (mut tables, mut items) = (Tables::default(), Vec::new());
    let (plain, total) = Settling::pack_plain(&mut turn.outcomes);
    for outcome in &turn.outcomes[total..] {
        outcome.append_to(&mut items, &mut tables);
    }
    tables.append_to(&mut args);
    args.push(plain);
    args.extend(items);
    let mut given_up = 0;
    let answer = loop {
        let answer = match session.client.link().call(&script::TURN, turn.shard, &args).await {
            Ok(value) => read(turn.shard, value),
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => break answer,
            Err(error) if error.is_transient() => {
                tracing::debug!(shard = turn.shard, %error, "turn unanswered, will be repeated");
                if given_up == 0 && turn.want > 0 {
                    // The room it asked for must not be kept from other servers. Its repeat brings what the first call
                    // claimed, if that was carried out, and claims nothing else.
                    given_up = turn.want;
                    session.given_up.fetch_add(given_up, Ordering::AcqRel);
                    let _ = session.commands.send(Command::GaveUp);
                    args[WANT] = b"0".to_vec();
                }
                tokio::time::sleep(REPEAT_AFTER).await;
            }
            Err(error) => {
                tracing::error!(shard = turn.shard, %error, "turn refused, will be repeated");
                tokio::time::sleep(REFUSED_AFTER).await;
            }
        }
    };
    session.given_up.fetch_sub(given_up, Ordering::AcqRel);
    (turn, answer)
}

fn read(shard: u16, value: redis::Value) -> Result<Answer, QueueError> {
    let values = wire::list(value)?;
    if values.len() == 1 {
        return Ok(Answer::Gone);
    }
    let [_, letters, jobs, lanes, kinds, more, now] =
        values.try_into().map_err(|_| QueueError::Corrupt("a turn with an answer of another shape".to_owned()))?;
    let names = Names::read(lanes, kinds)?;
    let now = wire::time(wire::integer(&now)?.unsigned_abs())?;
    let (mut claimed, mut unreadable) = (Vec::new(), Vec::new());
    let mut jobs = wire::list(jobs)?.into_iter();
    while let (Some(id), Some(raw)) = (jobs.next(), jobs.next()) {
        let id = JobId::from_tail(shard, &wire::bytes(id)?)?;
        let raw = wire::bytes(raw)?;
        match wire::claimed(id, &raw, &names, now) {
            Ok(record) => claimed.push(record),
            Err(error) => unreadable.push((id, wire::epoch(&raw), error.to_string())),
        }
    }
    Ok(Answer::Taken {
        stale: wire::bytes(letters)?.into_iter().map(|letter| letter == b'S').collect(),
        claimed,
        unreadable,
        more: wire::integer(&more)? == 1,
        now,
    })
}
