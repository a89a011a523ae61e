//! Enqueueing: single calls made at the same time share a script call per shard, bulk goes in bounded chunks.
//!
//! Every job has its id before it is sent, so an unanswered call is simply repeated.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::task::TaskTracker;

use super::QueueClient;
use crate::{
    error::QueueError,
    id::JobId,
    job::{Enqueued, NewJob},
    link::Link,
    script::{self, MAX_BATCH_BYTES, MAX_ITEMS},
    wire::{self, Tables},
};

/// How long an unanswered enqueue is repeated before the caller is told.
const REPEAT_FOR: Duration = Duration::from_secs(3);
const REPEAT_EVERY: Duration = Duration::from_millis(100);
/// Bulk calls on their way at the same time: one is executed, the others travel.
const BULK_CALLS: usize = 4;

/// A job with its id, checked.
#[derive(Debug)]
struct Ready {
    job: NewJob,
    id: JobId,
    /// Whether the id was made up here, so that meeting it again means that our own earlier call was carried out.
    own_id: bool,
}

type Answer = Result<Enqueued, QueueError>;

/// One group-commit loop per shard.
#[derive(Debug)]
pub(super) struct Enqueuers(Vec<mpsc::Sender<(Ready, oneshot::Sender<Answer>)>>);

impl Enqueuers {
    pub(super) fn start(link: &Link, shards: u16, tasks: &TaskTracker) -> Self {
        let start_one = |shard| {
            let (sender, receiver) = mpsc::channel(4 * MAX_ITEMS);
            tasks.spawn(commit_groups(link.clone(), shard, receiver));
            sender
        };
        Self((0..shards).map(start_one).collect())
    }
}

/// Whatever arrives while a call is on its way goes together in the next one.
async fn commit_groups(link: Link, shard: u16, mut receiver: mpsc::Receiver<(Ready, oneshot::Sender<Answer>)>) {
    let mut group = Vec::with_capacity(MAX_ITEMS);
    while receiver.recv_many(&mut group, MAX_ITEMS).await > 0 {
        let (jobs, waiting): (Vec<_>, Vec<_>) = group.drain(..).unzip();
        let mut waiting = waiting.into_iter();
        for chunk in chunks(jobs) {
            let answer = send(&link, shard, &chunk).await;
            for place in 0..chunk.len() {
                let Some(caller) = waiting.next() else { break };
                let _ = caller.send(match &answer {
                    Ok(answers) => answers.get(place).copied().ok_or(QueueError::Closed),
                    Err(error) => Err(error.copy()),
                });
            }
        }
    }
}

/// Cuts jobs of one shard into calls of bounded size.
fn chunks(jobs: Vec<Ready>) -> Vec<Vec<Ready>> {
    let mut chunks: Vec<Vec<Ready>> = Vec::with_capacity(jobs.len() / MAX_ITEMS + 1);
    let mut bytes = 0;
    for job in jobs {
        bytes += job.job.payload.len() + 64;
        match chunks.last_mut() {
            Some(chunk) if chunk.len() < MAX_ITEMS && bytes <= MAX_BATCH_BYTES => chunk.push(job),
            _ => {
                bytes = job.job.payload.len() + 64;
                chunks.push(vec![job]);
            }
        }
    }
    chunks
}

/// Sends one call, again if the answer was lost.
async fn send(link: &Link, shard: u16, jobs: &[Ready]) -> Result<Vec<Enqueued>, QueueError> {
    let mut tables = Tables::default();
    let items: Vec<_> = jobs.iter().map(|ready| wire::item(&ready.job, ready.id, &mut tables)).collect();
    let mut args = Vec::with_capacity(items.len() + 8);
    tables.append_to(&mut args);
    args.extend(items);
    let deadline = Instant::now() + REPEAT_FOR;
    let mut repeated = false;
    let letters = loop {
        match link.call(&script::ENQUEUE, shard, &args).await {
            Ok(answer) => break wire::bytes(answer)?,
            Err(QueueError::Unreachable(_)) if Instant::now() < deadline => {
                repeated = true;
                tokio::time::sleep(REPEAT_EVERY).await;
            }
            Err(error) => return Err(error),
        }
    };
    if letters.len() != 15 * jobs.len() {
        return Err(QueueError::Corrupt(format!("{} bytes for {} jobs", letters.len(), jobs.len())));
    }
    letters
        .chunks_exact(15)
        .zip(jobs)
        .map(|(answer, ready)| {
            let id = JobId::from_tail(shard, &answer[1..])?;
            match answer[0] {
                b'C' => Ok(Enqueued::Created(id)),
                b'E' if repeated && ready.own_id && id == ready.id => Ok(Enqueued::Created(id)),
                b'E' => Ok(Enqueued::Exists(id)),
                b'U' => Ok(Enqueued::UniqueTaken(id)),
                b'I' => Ok(Enqueued::IdempotencyConflict(id)),
                other => Err(QueueError::Corrupt(format!("answer {other} to an enqueue"))),
            }
        })
        .collect()
}

impl QueueClient {
    /// Enqueues a job. When this returns, it is in Redis and, under `appendfsync always`, on disk. Concurrent calls share
    /// round trips. A lost answer is repeated for 3 seconds before the caller is told.
    pub async fn enqueue(&self, job: NewJob) -> Result<Enqueued, QueueError> {
        let ready = self.ready(job)?;
        let (answer, receiver) = oneshot::channel();
        let sender = &self.0.enqueuers.0[usize::from(ready.id.shard())];
        sender.send((ready, answer)).await.map_err(|_| QueueError::Closed)?;
        receiver.await.map_err(|_| QueueError::Closed)?
    }

    /// Enqueues any number of jobs, in bounded chunks; answers in the same order. Nothing is sent if one of them is malformed.
    /// On an error some may have been enqueued; repeat with ids given.
    pub async fn enqueue_many(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>, QueueError> {
        let mut places: Vec<Vec<usize>> = vec![Vec::new(); usize::from(self.shards())];
        let mut by_shard: Vec<Vec<Ready>> = places.iter().map(|_| Vec::new()).collect();
        let total = jobs.len();
        for (place, job) in jobs.into_iter().enumerate() {
            let ready = self.ready(job)?;
            let shard = usize::from(ready.id.shard());
            places[shard].push(place);
            by_shard[shard].push(ready);
        }
        let mut calls = Vec::new();
        for (shard, (jobs, places)) in (0..self.shards()).zip(by_shard.into_iter().zip(places)) {
            let mut places = places.into_iter();
            for chunk in chunks(jobs) {
                let places: Vec<usize> = places.by_ref().take(chunk.len()).collect();
                calls.push((shard, chunk, places));
            }
        }
        let mut answers: Vec<Option<Enqueued>> = vec![None; total];
        let mut sent = stream::iter(calls)
            .map(|(shard, chunk, places)| async move {
                let answers = send(self.link(), shard, &chunk).await?;
                Ok::<_, QueueError>((places, answers))
            })
            .buffered(BULK_CALLS);
        while let Some((places, chunk)) = sent.try_next().await? {
            for (place, answer) in places.into_iter().zip(chunk) {
                answers[place] = Some(answer);
            }
        }
        answers
            .into_iter()
            .map(|answer| answer.ok_or_else(|| QueueError::Corrupt("a job without an answer".to_owned())))
            .collect()
    }

    fn ready(&self, job: NewJob) -> Result<Ready, QueueError> {
        let shard = self.shard_of(&job.tenant);
        wire::check(&job, shard)?;
        let own_id = job.id.is_none();
        let id = job.id.unwrap_or_else(|| JobId::random(shard));
        Ok(Ready { job, id, own_id })
    }
}
