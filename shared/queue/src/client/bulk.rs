//! Bulk enqueues, in chunks of bounded size.

use std::sync::OnceLock;

use futures::{StreamExt, stream};
use tokio::time::Instant;

use super::{
    QueueClient,
    enqueue::{Packed, REPEAT_FOR, Ready, call_until},
    load,
};
use crate::{
    error::QueueError,
    job::{Enqueued, NewJob},
    link::{Link, Via},
    script::MAX_ITEMS,
};

/// Calls that are carried out in one go: with `appendfsync always` they share a way to the disk, and everybody else waits for
/// so many at a time.
const TOGETHER: usize = 2;
/// So many times that much is on its way: one is carried out, the others travel.
const ON_THEIR_WAY: usize = 3;

/// Cuts jobs of one shard into calls of bounded size.
fn chunks(jobs: Vec<Ready>) -> Vec<Vec<Ready>> {
    let (mut sizes, mut cut) = (Vec::with_capacity(jobs.len() / MAX_ITEMS + 1), 0);
    while cut < jobs.len() {
        sizes.push(load::of_one_call(jobs[cut..].iter().map(|ready| &ready.job)));
        cut += sizes.last().copied().unwrap_or(1);
    }
    let mut jobs = jobs.into_iter();
    sizes.into_iter().map(|many| jobs.by_ref().take(many).collect()).collect()
}

/// Sends several calls of a shard that are carried out in one go. What was not answered so goes by itself, in the same order,
/// and after the first that fails not at all: then there is no answer.
async fn send_together(
    link: &Link,
    shard: u16,
    groups: &[Vec<Ready>],
) -> Vec<Option<Result<Vec<Enqueued>, QueueError>>> {
    let deadline = Instant::now() + REPEAT_FOR;
    let calls: Vec<Packed<'_>> = groups.iter().map(|jobs| Packed::of(jobs)).collect();
    let asked: Vec<_> = calls.iter().map(|call| (call.script, &call.args)).collect();
    let answers = match link.call_together(shard, &asked).await {
        Ok(answers) => answers,
        Err(QueueError::Unreachable(_)) if Instant::now() < deadline => vec![None; calls.len()],
        Err(error) => return vec![Some(Err(error))],
    };
    let mut failed = false;
    let mut told = Vec::with_capacity(calls.len());
    for (sent, answer) in calls.into_iter().zip(answers) {
        let answer = match answer {
            Some(answer) => Ok(answer),
            None if failed => {
                told.push(None);
                continue;
            }
            None => call_until(deadline, link, Via::Shared, sent.script, shard, &sent.args).await,
        };
        let answer = answer.and_then(|answer| sent.read(shard, answer));
        failed |= answer.is_err();
        told.push(Some(answer));
    }
    told
}

impl QueueClient {
    /// Enqueues any number of jobs, in bounded chunks; answers in the same order. Nothing is sent if one of them is malformed.
    /// On an error some may have been enqueued; repeat with ids given, or use [`enqueue_each`](Self::enqueue_each).
    pub async fn enqueue_many(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>, QueueError> {
        self.enqueue_each(jobs).await?.into_iter().collect()
    }

    /// The same, but says of each job whether it was taken. A chunk is taken or refused as a whole, and after the first that
    /// is refused only those are sent that are on their way already. The outer error means that one is malformed and nothing was sent.
    pub async fn enqueue_each(&self, jobs: Vec<NewJob>) -> Result<Vec<Result<Enqueued, QueueError>>, QueueError> {
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
            let mut chunks = chunks(jobs).into_iter().peekable();
            while chunks.peek().is_some() {
                let together: Vec<_> = chunks.by_ref().take(TOGETHER).collect();
                let places: Vec<Vec<usize>> =
                    together.iter().map(|chunk| places.by_ref().take(chunk.len()).collect()).collect();
                calls.push((shard, together, places));
            }
        }
        let mut answers: Vec<Option<Enqueued>> = vec![None; total];
        let failed: OnceLock<QueueError> = OnceLock::new();
        let mut sent = stream::iter(calls)
            .map(|(shard, chunks, places)| {
                let failed = &failed;
                async move {
                    if failed.get().is_some() {
                        return Vec::new();
                    }
                    let answers = send_together(self.link(), shard, &chunks).await;
                    let mut taken = Vec::with_capacity(answers.len());
                    for ((chunk, places), answers) in chunks.into_iter().zip(places).zip(answers) {
                        match answers {
                            None => {}
                            Some(Ok(answers)) => {
                                self.0.enqueuers.recent().keep(chunk, &answers);
                                taken.push((places, answers));
                            }
                            Some(Err(error)) => {
                                let _ = failed.set(error); // the first is told
                            }
                        }
                    }
                    taken
                }
            })
            .buffered(ON_THEIR_WAY);
        while let Some(taken) = sent.next().await {
            for (places, chunk) in taken {
                for (place, answer) in places.into_iter().zip(chunk) {
                    answers[place] = Some(answer);
                }
            }
        }
        drop(sent);
        let refusal = || {
            let unanswered = || QueueError::Corrupt("a job without an answer".to_owned());
            failed.get().map_or_else(unanswered, QueueError::copy)
        };
        Ok(answers.into_iter().map(|answer| answer.ok_or_else(refusal)).collect())
    }
}
