//! Enqueueing: single calls made at the same time share a script call per shard; for many at a time see `bulk.rs`.
//!
//! Every job has its id before it is sent, so an unanswered call is simply repeated.

use std::{
    borrow::Borrow,
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use redis::Value;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};
use tokio_util::task::TaskTracker;

use super::{QueueClient, load, recent::Recent};
use crate::{
    error::QueueError,
    id::JobId,
    job::{Enqueued, NewJob},
    link::{Args, Link, Via, timed_out},
    script::{self, Script},
    wire::{self, Plain, Tables},
};

/// How long an unanswered enqueue is repeated before the caller is told. The last try may take a second more, and an API's
/// caller should not wait longer than two seconds for a refusal.
pub(super) const REPEAT_FOR: Duration = Duration::from_millis(700);
const REPEAT_EVERY: Duration = Duration::from_millis(100);
/// However long others were waited for that called before: whoever enqueues one job is told by then that Redis does not
/// answer.
const TOLD_WITHIN: Duration = Duration::from_secs(4);
/// A job with its id, checked.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) job: NewJob,
    pub(super) id: JobId,
    /// Whether the id was made up here, so that meeting it again means that our own earlier call was carried out.
    own_id: bool,
}

impl Ready {
    /// As one that was accepted: whoever meets its id again knows that it is still there.
    pub(super) fn accepted(self) -> Self {
        Self { own_id: false, ..self }
    }
}

type Answer = Result<Enqueued, QueueError>;
type Caller = oneshot::Sender<Answer>;
type Waiting = (Ready, Caller);

/// Calls of one shard on their way at the same time: while Redis carries one out, the next is written.
const GROUPS: usize = 2;
/// A second call is worth its fixed cost from so many jobs on; fewer wait for the first.
const WORTH_A_CALL: usize = 16;

/// Group commit, per shard.
#[derive(Debug)]
pub(super) struct Enqueuers {
    link: Link,
    recent: Recent,
    tasks: TaskTracker,
    gates: Vec<Mutex<Gate>>,
}

#[derive(Debug, Default)]
struct Gate {
    /// Calls on their way.
    calls: usize,
    /// One of them has not taken its jobs yet.
    boarding: bool,
    /// The last one had company: others came with it or while it was on its way.
    busy: bool,
    waiting: VecDeque<Waiting>,
}

impl Gate {
    /// Begins the next call, if it is time for one. It takes its jobs when it leaves, which is a moment later: whoever comes
    /// until then goes with it.
    fn begin(&mut self) -> bool {
        let wanted = if self.calls == 0 { 1 } else { WORTH_A_CALL };
        let begins = !self.boarding && self.calls < GROUPS && self.waiting.len() >= wanted;
        self.boarding |= begins;
        self.calls += usize::from(begins);
        begins
    }

    fn note_company(&mut self) {
        self.busy = !self.waiting.is_empty();
    }

    /// The jobs of the call that leaves.
    fn board(&mut self) -> Vec<Waiting> {
        self.boarding = false;
        // Nobody waits any more for what came while Redis did not answer.
        self.waiting.retain(|(_, caller)| !caller.is_closed());
        let many = load::of_one_call(self.waiting.iter().map(|(ready, _)| &ready.job));
        self.busy = many > 1;
        self.waiting.drain(..many).collect()
    }
}

/// A call on its way. However it ends, also when its caller stops waiting, those who queued behind it go on.
struct Call<'a>(&'a Arc<Enqueuers>, u16);

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let Self(enqueuers, shard) = self;
        enqueuers.gate(*shard).calls -= 1;
        enqueuers.go_on(*shard);
    }
}

impl Enqueuers {
    pub(super) fn start(link: &Link, shards: u16, tasks: &TaskTracker) -> Arc<Self> {
        let gates = (0..shards).map(|_| Mutex::default()).collect();
        let recent = Recent::start(link, shards, tasks);
        Arc::new(Self { link: link.clone(), recent, tasks: tasks.clone(), gates })
    }

    pub(super) fn recent(&self) -> &Recent {
        &self.recent
    }

    fn gate(&self, shard: u16) -> MutexGuard<'_, Gate> {
        self.gates[usize::from(shard)].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody is on the way: the caller's own task makes the call, so that an idle queue costs no hand-over. Whatever arrives
    /// while calls are on their way goes together in the next one, and while several come at a time, each waits for the others.
    async fn enqueue(self: &Arc<Self>, job: Ready) -> Answer {
        let shard = job.id.shard();
        let first = {
            let mut gate = self.gate(shard);
            if gate.calls == 0 && gate.waiting.is_empty() && !gate.busy {
                gate.calls = 1;
                Ok(job)
            } else {
                let (caller, answer) = oneshot::channel();
                gate.waiting.push_back((job, caller));
                Err(answer)
            }
        };
        match first {
            Ok(job) => {
                let call = Call(self, shard);
                let jobs = [job];
                let answers = send(&self.link, Via::Own, shard, &jobs).await;
                self.gate(shard).note_company();
                drop(call);
                let mut answers = answers?;
                self.recent.keep(jobs, &answers);
                answers.pop().ok_or(QueueError::Closed)
            }
            Err(answer) => {
                self.go_on(shard);
                answer.await.map_err(|_| QueueError::Closed)?
            }
        }
    }

    /// Sends those who wait on their way, if it is time.
    fn go_on(self: &Arc<Self>, shard: u16) {
        if !self.gate(shard).begin() {
            return;
        }
        let enqueuers = Arc::clone(self);
        self.tasks.spawn(async move {
            let mut call = Some(Call(&enqueuers, shard));
            let mut groups = VecDeque::from([enqueuers.gate(shard).board()]);
            enqueuers.go_on(shard); // there may be more than one call can take
            while let Some(group) = groups.pop_front() {
                if group.is_empty() {
                    continue;
                }
                let (jobs, callers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
                let answers = send(&enqueuers.link, Via::Shared, shard, &jobs).await;
                drop(call.take());
                groups.extend(enqueuers.tell(jobs, callers, &answers));
            }
        });
    }

    /// Tells callers what became of their jobs. Returned are those that go again: of jobs that were refused only because a queue of
    /// others is too deep, or a kind of others is one too many, these others go without; where one of several may be to blame, each
    /// half goes by itself.
    fn tell(
        &self,
        jobs: Vec<Ready>,
        callers: Vec<Caller>,
        answers: &Result<Vec<Enqueued>, QueueError>,
    ) -> Vec<Vec<Waiting>> {
        match answers {
            Ok(answers) => {
                self.recent.keep(jobs, answers);
                for (place, caller) in callers.into_iter().enumerate() {
                    let _ = caller.send(answers.get(place).copied().ok_or(QueueError::Closed));
                }
                Vec::new()
            }
            Err(QueueError::Refused(_)) if jobs.len() > 1 => {
                let mut first: Vec<Waiting> = jobs.into_iter().zip(callers).collect();
                let second = first.split_off(first.len() / 2);
                vec![first, second]
            }
            Err(error) => {
                let is_meant = |ready: &Ready| error.is_about(&ready.job);
                let any_is_meant = jobs.iter().any(is_meant);
                let (refused, others): (Vec<_>, Vec<_>) =
                    jobs.into_iter().zip(callers).partition(|(ready, _)| is_meant(ready) || !any_is_meant);
                for (_, caller) in refused {
                    let _ = caller.send(Err(error.copy()));
                }
                vec![others]
            }
        }
    }
}

/// A call that is ready to be sent.
pub(super) struct Packed<'a> {
    pub(super) script: &'static Script,
    pub(super) args: Args,
    jobs: Vec<&'a Ready>,
    /// Of plain jobs, the place of each in the order of the answer.
    places: Option<Vec<usize>>,
}

impl<'a> Packed<'a> {
    pub(super) fn of<R: Borrow<Ready>>(jobs: &'a [R]) -> Self {
        let jobs: Vec<&Ready> = jobs.iter().map(Borrow::borrow).collect();
        if let Some(Plain { args, places }) = wire::plain(jobs.iter().map(|ready| (&ready.job, ready.id))) {
            return Self { script: &script::ENQUEUE_PLAIN, args, jobs, places: Some(places) };
        }
        let mut tables = Tables::default();
        let items: Vec<_> = jobs.iter().map(|ready| wire::item(&ready.job, ready.id, &mut tables)).collect();
        let mut args = Vec::with_capacity(items.len() + 8);
        tables.append_to(&mut args);
        args.extend(items);
        Self { script: &script::ENQUEUE, args, jobs, places: None }
    }

    pub(super) fn read(self, shard: u16, answer: Value) -> Result<Vec<Enqueued>, QueueError> {
        let (letters, jobs) = (wire::bytes(answer)?, self.jobs);
        let each = if self.places.is_some() { 1 } else { 15 };
        if letters.len() != each * jobs.len() {
            return Err(QueueError::Corrupt(format!("{} bytes for {} jobs", letters.len(), jobs.len())));
        }
        if let Some(places) = self.places {
            let mut in_order = vec![0; jobs.len()];
            for (place, letter) in places.into_iter().zip(letters) {
                in_order[place] = letter;
            }
            return in_order.into_iter().zip(jobs).map(|(letter, ready)| read(letter, ready.id, ready)).collect();
        }
        letters
            .chunks_exact(15)
            .zip(jobs)
            .map(|(answer, ready)| read(answer[0], JobId::from_tail(shard, &answer[1..])?, ready))
            .collect()
    }
}

/// Sends one call, again if the answer was lost.
pub(super) async fn send<R: Borrow<Ready>>(
    link: &Link,
    via: Via,
    shard: u16,
    jobs: &[R],
) -> Result<Vec<Enqueued>, QueueError> {
    let ready = Packed::of(jobs);
    let answer = call(link, via, ready.script, shard, &ready.args).await?;
    ready.read(shard, answer)
}

fn read(letter: u8, id: JobId, ready: &Ready) -> Result<Enqueued, QueueError> {
    match letter {
        b'C' => Ok(Enqueued::Created(id)),
        b'E' if ready.own_id && id == ready.id => Ok(Enqueued::Created(id)),
        b'E' => Ok(Enqueued::Exists(id)),
        b'U' => Ok(Enqueued::UniqueTaken(id)),
        b'I' => Ok(Enqueued::IdempotencyConflict(id)),
        b'R' => Ok(Enqueued::Replaced(id)),
        b'B' => Ok(Enqueued::BatchClosed(id)),
        other => Err(QueueError::Corrupt(format!("answer {other} to an enqueue"))),
    }
}

/// Calls until it is answered or the time is over.
pub(super) async fn call(link: &Link, via: Via, script: &Script, shard: u16, args: &Args) -> Result<Value, QueueError> {
    call_until(Instant::now() + REPEAT_FOR, link, via, script, shard, args).await
}

pub(super) async fn call_until(
    deadline: Instant,
    link: &Link,
    via: Via,
    script: &Script,
    shard: u16,
    args: &Args,
) -> Result<Value, QueueError> {
    loop {
        match link.commit(via, script, shard, args).await {
            Ok(answer) => return Ok(answer),
            Err(QueueError::Unreachable(_)) if Instant::now() < deadline => {
                tokio::time::sleep(REPEAT_EVERY).await;
            }
            Err(error) => return Err(error),
        }
    }
}

impl QueueClient {
    /// Enqueues a job. When this returns, it is in Redis and, under `appendfsync always`, on disk. Concurrent calls share
    /// round trips. A lost answer is repeated for 0.7 seconds before the caller is told, and after 4 seconds without any answer
    /// the caller is told that, too; the job may then have been enqueued.
    pub async fn enqueue(&self, job: NewJob) -> Result<Enqueued, QueueError> {
        let enqueued = self.0.enqueuers.enqueue(self.ready(job)?);
        timeout(TOLD_WITHIN, enqueued).await.unwrap_or_else(|_| Err(timed_out().into()))
    }

    pub(super) fn ready(&self, job: NewJob) -> Result<Ready, QueueError> {
        let shard = self.shard_of(&job.tenant);
        wire::check(&job, shard)?;
        let own_id = job.id.is_none();
        let id = job.id.unwrap_or_else(|| self.new_id(shard));
        Ok(Ready { job, id, own_id })
    }
}
