//! One turn: the call, and reading its answer.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use redis::Value;
use tokio::time::timeout;

use super::{Command, Session, Settling, Token};
use crate::{
    error::QueueError,
    id::JobId,
    link::{Args, Via},
    name::QueueName,
    record::JobRecord,
    script::{self, MAX_BATCH_BYTES, MAX_ITEMS},
    wire::{self, Names, Tables},
};

const REPEAT_AFTER: Duration = Duration::from_millis(50);
/// An error that repeating does not mend is reported and repeated slowly: the worker never ends because of it.
const REFUSED_AFTER: Duration = Duration::from_secs(1);

/// A turn that is alone and has no more outcomes than this is sent by the driver's own task: with little to do, to hand it over
/// to another and its answer back takes longer than the turn.
const FEW: usize = 8;

/// Where the number of jobs wanted stands among the arguments.
const WANT: usize = 2;

/// Takes outcomes for one turn, bounded in number and bytes.
pub(super) fn batch(waiting: &mut VecDeque<Settling>) -> Vec<Settling> {
    let (mut outcomes, mut items, mut bytes) = (Vec::new(), 0, 0);
    while let Some(next) = waiting.front() {
        items += next.items();
        bytes += next.weight();
        if !outcomes.is_empty() && (items > MAX_ITEMS || bytes > MAX_BATCH_BYTES) {
            break;
        }
        outcomes.extend(waiting.pop_front());
    }
    outcomes
}

/// A turn to be sent.
pub(crate) struct Turn {
    pub(crate) shard: u16,
    pub(crate) token: Token,
    pub(crate) sequence: u64,
    pub(crate) want: usize,
    pub(crate) outcomes: Vec<Settling>,
}

/// What a turn brought.
pub(crate) enum Answer {
    /// The shard does not know the session.
    Gone,
    /// Outcomes were applied or refused, jobs were claimed.
    Taken(Taken),
}

/// What became of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Applied,
    /// Refused, because the lease was lost.
    Stale,
    /// There was no time for it: it goes with the next turn.
    Again,
}

/// The answer to a turn. Its claims are counted before they are read, because there may be no room for all of them.
pub(crate) struct Taken {
    /// One per outcome.
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) more: bool,
    pub(crate) now: DateTime<Utc>,
    shard: u16,
    /// Ids and records in turn.
    jobs: Vec<Value>,
    lanes: Value,
    kinds: Value,
}

/// Claimed jobs, read.
#[derive(Default)]
pub(crate) struct Claims {
    pub(crate) records: Vec<JobRecord>,
    /// Those that cannot be read, with their epoch, to be buried.
    pub(crate) unreadable: Vec<(JobId, u32, String)>,
}

impl Taken {
    /// How many jobs were claimed.
    pub(super) fn claimed(&self) -> usize {
        self.jobs.len() / 2
    }

    /// Leaves only so many claimed jobs; the ids and epochs of the others are to be given back.
    pub(super) fn keep(&mut self, most: usize) -> Vec<(JobId, u32)> {
        let surplus = self.jobs.split_off((2 * most).min(self.jobs.len()));
        surplus.chunks_exact(2).filter_map(|job| Some((self.id(&job[0]).ok()?, wire::epoch(slice(&job[1]))))).collect()
    }

    fn id(&self, tail: &Value) -> Result<JobId, QueueError> {
        JobId::from_tail(self.shard, slice(tail))
    }

    pub(crate) fn read(self) -> Result<Claims, QueueError> {
        let names = Names::read(self.lanes.clone(), self.kinds.clone())?;
        let mut claims = Claims { records: Vec::with_capacity(self.claimed()), unreadable: Vec::new() };
        for job in self.jobs.chunks_exact(2) {
            let (id, raw) = (self.id(&job[0])?, slice(&job[1]));
            match wire::claimed(id, raw, &names, self.now) {
                Ok(record) => claims.records.push(record),
                Err(error) => claims.unreadable.push((id, wire::epoch(raw), error.to_string())),
            }
        }
        Ok(claims)
    }
}

/// Empty for what is no text, which is then no id and no record either.
fn slice(value: &Value) -> &[u8] {
    if let Value::BulkString(bytes) = value { bytes } else { &[] }
}

/// The room for the jobs that a turn asked for, while it is on its way.
struct Room<'a> {
    session: &'a Session,
    shard: u16,
    wanted: usize,
    given_up: usize,
}

impl Room<'_> {
    /// Waits for the answer to a call. If that takes longer than it should, the room is given up meanwhile.
    async fn kept_during(
        &mut self,
        call: impl Future<Output = Result<Value, QueueError>>,
    ) -> Result<Value, QueueError> {
        let asked = Instant::now();
        let mut call = pin!(call);
        let answer = match timeout(self.session.patience(self.shard), &mut call).await {
            Ok(answer) => answer,
            Err(_overdue) => {
                self.give_up();
                call.await
            }
        };
        if answer.is_ok() {
            self.session.turn_took(self.shard, asked.elapsed());
        }
        answer
    }

    /// From now on it is not kept from other shards. What the turn claimed in spite of that goes back if there is no room left.
    fn give_up(&mut self) {
        if self.given_up < self.wanted {
            self.given_up = self.wanted;
            self.session.given_up.fetch_add(self.given_up, Ordering::AcqRel);
            let _ = self.session.commands.send(Command::GaveUp);
        }
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.session.given_up.fetch_sub(self.given_up, Ordering::AcqRel);
    }
}

/// Sends a turn until it is answered; it is alone if no other is on its way.
pub(super) async fn take(session: Arc<Session>, mut turn: Turn, alone: bool) -> (Turn, Answer) {
    let via = if alone && turn.outcomes.len() <= FEW { Via::Own } else { Via::Shared };
    let mut args = args(&mut turn, &session.config.queues, &session.worker);
    let mut room = Room { session: &session, shard: turn.shard, wanted: turn.want, given_up: 0 };
    let answer = loop {
        let call = session.client.link().call_in(via, &script::TURN, turn.shard, &args);
        let error = match room.kept_during(call).await.and_then(|value| read(turn.shard, value)) {
            Ok(answer) => break answer,
            Err(error) => error,
        };
        // The repeat brings what the first call claimed, if that was carried out, and claims nothing else.
        room.give_up();
        args[WANT] = b"0".to_vec();
        if error.is_transient() {
            tracing::debug!(shard = turn.shard, %error, "turn unanswered, will be repeated");
            tokio::time::sleep(REPEAT_AFTER).await;
        } else {
            tracing::error!(shard = turn.shard, %error, "turn refused, will be repeated");
            tokio::time::sleep(REFUSED_AFTER).await;
        }
    };
    drop(room);
    (turn, answer)
}

/// The arguments of a turn, whose outcomes are put into the order in which the script answers. `worker` is told of work if there
/// is none now.
pub(crate) fn args(turn: &mut Turn, queues: &[QueueName], worker: &str) -> Args {
    let mut args = Vec::with_capacity(turn.outcomes.len() + queues.len() + 8);
    args.push(turn.token.to_vec());
    args.push(turn.sequence.to_string().into_bytes());
    args.push(turn.want.to_string().into_bytes());
    args.push(if turn.want > 0 { worker } else { "" }.into());
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
    args
}

fn verdict(letter: u8) -> Result<Verdict, QueueError> {
    match letter {
        b'D' => Ok(Verdict::Applied),
        b'S' => Ok(Verdict::Stale),
        b'N' => Ok(Verdict::Again),
        other => Err(QueueError::Corrupt(format!("answer {other} to an outcome"))),
    }
}

pub(crate) fn read(shard: u16, value: Value) -> Result<Answer, QueueError> {
    let values = wire::list(value)?;
    if values.len() == 1 {
        return Ok(Answer::Gone);
    }
    let [_, letters, jobs, lanes, kinds, more, now] =
        values.try_into().map_err(|_| QueueError::Corrupt("a turn with an answer of another shape".to_owned()))?;
    Ok(Answer::Taken(Taken {
        verdicts: wire::bytes(letters)?.into_iter().map(verdict).collect::<Result<_, _>>()?,
        more: wire::integer(&more)? == 1,
        now: wire::time(wire::integer(&now)?.unsigned_abs())?,
        shard,
        jobs: wire::list(jobs)?,
        lanes,
        kinds,
    }))
}

#[cfg(test)]
mod tests;
