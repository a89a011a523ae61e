//! Reading records: one, many, changes.

use std::{fmt, str::FromStr, time::Duration};

use futures::{Stream, stream};
use redis::Value;
use tokio::time::Instant;

use super::QueueClient;
use crate::{
    error::QueueError,
    hub::Waiter,
    id::JobId,
    link::{Args, Link},
    name::Tenant,
    record::{DeadLetter, JobRecord, ListFilter, Page},
    script,
    wire::{self, Names},
};

/// Entries of an index read by one call.
const LIST_STEP: usize = 128;
/// Entries looked at for one page; after them the page is returned as it is.
const LIST_ENTRIES: usize = 16 * LIST_STEP;
/// Somebody who waits reads again at this distance, should a message be lost.
const READ_AGAIN: Duration = Duration::from_secs(2);

/// The last entry of a page: its id, and its distance from the end of the index.
#[derive(Clone, Copy)]
struct Cursor {
    id: JobId,
    from_end: i64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.id, self.from_end)
    }
}

impl FromStr for Cursor {
    type Err = QueueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || QueueError::invalid("cursor", "it is none of this list");
        let (id, from_end) = text.split_once('.').ok_or_else(malformed)?;
        Ok(Self { id: id.parse().map_err(|_| malformed())?, from_end: from_end.parse().map_err(|_| malformed())? })
    }
}

/// Records out of the answer of a reading script. Unreadable ones are logged and left out.
pub(super) fn records(
    shard: u16,
    entries: Value,
    lanes: Value,
    kinds: Value,
) -> Result<Vec<(JobId, Option<JobRecord>)>, QueueError> {
    let names = Names::read(lanes, kinds)?;
    let read = |entry: Value| {
        let entry = wire::bytes(entry)?;
        let (tail, raw) =
            entry.split_at_checked(14).ok_or_else(|| QueueError::Corrupt("an entry that is too short".to_owned()))?;
        let id = JobId::from_tail(shard, tail)?;
        if raw.is_empty() {
            return Ok((id, None));
        }
        let record =
            wire::decode(id, raw, &names).inspect_err(|error| tracing::error!(job = %id, %error, "unreadable record"));
        Ok((id, record.ok()))
    };
    wire::list(entries)?.into_iter().map(read).collect()
}

/// The same, and then those for which the call had no room, by further calls of which each brings some.
pub(super) async fn records_and_others(
    link: &Link,
    shard: u16,
    answer: [Value; 4],
) -> Result<Vec<(JobId, Option<JobRecord>)>, QueueError> {
    let [entries, lanes, kinds, others] = answer;
    let mut read = records(shard, entries, lanes, kinds)?;
    let mut others: Args = wire::list(others)?.into_iter().map(wire::bytes).collect::<Result<_, _>>()?;
    while !others.is_empty() {
        let [entries, lanes, kinds, left] = wire::fields(link.call(&script::READ, shard, &others).await?)?;
        read.extend(records(shard, entries, lanes, kinds)?);
        others = wire::list(left)?.into_iter().map(wire::bytes).collect::<Result<_, _>>()?;
    }
    Ok(read)
}

impl QueueClient {
    /// The record of a job. Calls made at the same time share round trips.
    pub async fn get(&self, id: JobId) -> Result<Option<JobRecord>, QueueError> {
        if id.shard() >= self.shards() {
            return Ok(None);
        }
        self.0.readers.read(id).await
    }

    /// A tenant's newest jobs, newest first unless the filter says otherwise. The index is bounded: at least the newest 1,000 of
    /// each kind and 10,000 of all kinds together. A cursor keeps its place while jobs come and go.
    /// A page may have fewer items than asked for, even none, and still have a successor: a call looks at a bounded number.
    pub async fn list(
        &self,
        tenant: &Tenant,
        filter: &ListFilter,
        cursor: Option<String>,
        limit: usize,
    ) -> Result<Page<JobRecord>, QueueError> {
        let shard = self.shard_of(tenant);
        let mut last: Option<Cursor> = cursor.map(|text| text.parse()).transpose()?;
        let limit = limit.clamp(1, 1000);
        let (mut items, mut looked_at) = (Vec::new(), 0);
        while looked_at < LIST_ENTRIES {
            let kind = filter.kind.as_ref().map_or("", |kind| kind.as_str());
            let args = vec![
                tenant.as_str().into(),
                kind.into(),
                last.map_or_else(Vec::new, |cursor| cursor.id.tail().to_vec()),
                LIST_STEP.to_string().into_bytes(),
                last.map_or(0, |cursor| cursor.from_end).to_string().into_bytes(),
                if filter.oldest_first { b"oldest".to_vec() } else { Vec::new() },
            ];
            let answer = self.link().call(&script::LIST, shard, &args).await?;
            let [entries, lanes, kinds, more, from_end] = wire::fields(answer)?;
            let more = wire::integer(&more)? == 1;
            let mut from_end = wire::integer(&from_end)?;
            let entries = records(shard, entries, lanes, kinds)?;
            looked_at += entries.len();
            for (id, record) in entries {
                if items.len() == limit {
                    return Ok(Page { items, next: last.map(|cursor| cursor.to_string()) });
                }
                last = Some(Cursor { id, from_end });
                from_end += if filter.oldest_first { 1 } else { -1 };
                if record.as_ref().is_some_and(|record| is_beyond(record, filter)) {
                    return Ok(Page { items, next: None });
                }
                items.extend(record.filter(|record| matches(record, filter)));
            }
            if !more {
                return Ok(Page { items, next: None });
            }
        }
        Ok(Page { items, next: last.map(|cursor| cursor.to_string()) })
    }

    /// The record once the job has ended, or as it is when the time is over. None if there is no such job.
    pub async fn wait(&self, id: JobId, at_most: Duration) -> Result<Option<JobRecord>, QueueError> {
        let deadline = Instant::now() + at_most;
        let has_ended = |record: &JobRecord| record.state.is_finished();
        // Each record stands in a block of its own, so that nobody holds one while it waits.
        {
            let record = self.get(id).await?;
            if record.as_ref().is_none_or(has_ended) {
                return Ok(record);
            }
        }
        let waiter = self.hub().waiter(id).await;
        loop {
            {
                let record = self.get(id).await?;
                if record.as_ref().is_none_or(has_ended) || Instant::now() >= deadline {
                    return Ok(record);
                }
            }
            let next_look = deadline.min(Instant::now() + READ_AGAIN);
            let _ = tokio::time::timeout_at(next_look, waiter.changed()).await;
        }
    }

    /// The record now and after each change of state or progress, until the job has ended. Changes in quick succession
    /// may be seen as one. While Redis is away the stream waits.
    pub fn watch(&self, id: JobId) -> impl Stream<Item = JobRecord> + Send + 'static + use<> {
        enum Step {
            Start,
            Follow(Waiter, Box<JobRecord>),
            End,
        }
        let client = self.clone();
        stream::unfold(Step::Start, move |step| {
            let client = client.clone();
            async move {
                let (waiter, seen) = match step {
                    Step::Start => (client.hub().waiter(id).await, None),
                    Step::Follow(waiter, seen) => (waiter, Some(seen)),
                    Step::End => return None,
                };
                loop {
                    match client.get(id).await {
                        Ok(None) => return None,
                        Ok(Some(record)) if seen.as_deref() != Some(&record) => {
                            let next = if record.state.is_finished() {
                                Step::End
                            } else {
                                Step::Follow(waiter, Box::new(record.clone()))
                            };
                            return Some((record, next));
                        }
                        Ok(Some(_)) => {}
                        Err(error) if error.is_transient() => {
                            tracing::debug!(job = %id, %error, "watching goes on");
                        }
                        Err(error) => {
                            tracing::warn!(job = %id, %error, "watching ends");
                            return None;
                        }
                    }
                    let _ = tokio::time::timeout(READ_AGAIN, waiter.changed()).await;
                }
            }
        })
    }

    /// The newest children of a job, newest first: at most 256, as far as their records are kept.
    pub async fn children(&self, id: JobId) -> Result<Vec<JobRecord>, QueueError> {
        if id.shard() >= self.shards() {
            return Ok(Vec::new());
        }
        let answer = self.link().call(&script::CHILDREN, id.shard(), &vec![id.tail().to_vec()]).await?;
        let records = records_and_others(self.link(), id.shard(), wire::fields(answer)?).await?;
        Ok(records.into_iter().filter_map(|(_, record)| record).collect())
    }

    /// Dead letters of a shard that have not been archived, oldest first, at most `limit` (and at most 256).
    pub async fn dead(&self, shard: u16, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        if limit == 0 || shard >= self.shards() {
            return Ok(Vec::new());
        }
        let answer = self.link().call(&script::DEAD, shard, &vec![limit.to_string().into_bytes()]).await?;
        let [entries, lanes, kinds, others, numbers] = wire::fields(answer)?;
        let records = records_and_others(self.link(), shard, [entries, lanes, kinds, others]).await?;
        let mut letters = Vec::new();
        for ((_, record), number) in records.into_iter().zip(&wire::list(numbers)?) {
            let death_number = u64::try_from(wire::integer(number)?).unwrap_or_default();
            letters.extend(record.map(|record| DeadLetter {
                death_number,
                error: record.error.clone().unwrap_or_default(),
                attempts: record.attempt,
                died_at: record.finished_at.unwrap_or_default(),
                record,
            }));
        }
        Ok(letters)
    }
}

pub(super) fn matches(record: &JobRecord, filter: &ListFilter) -> bool {
    filter.state.is_none_or(|state| state == record.state)
        && filter.queue.as_ref().is_none_or(|queue| *queue == record.queue)
        && filter.kind.as_ref().is_none_or(|kind| *kind == record.kind)
        && filter.lane.as_ref().is_none_or(|lane| *lane == record.lane.name)
        && filter.batch.is_none_or(|batch| record.links.batch == Some(batch))
        && filter.created_after.is_none_or(|after| record.enqueued_at >= after)
        && filter.created_before.is_none_or(|before| record.enqueued_at < before)
}

/// Whether the index, which stands in the order of creation, has nothing more of the filter's time.
fn is_beyond(record: &JobRecord, filter: &ListFilter) -> bool {
    if filter.oldest_first {
        filter.created_before.is_some_and(|before| record.enqueued_at >= before)
    } else {
        filter.created_after.is_some_and(|after| record.enqueued_at < after)
    }
}
