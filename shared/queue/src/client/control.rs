//! Acting on jobs and queues.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use futures::future::{join_all, try_join_all};
use redis::Value;

use super::QueueClient;
use crate::{
    error::QueueError,
    id::JobId,
    link::Args,
    name::QueueName,
    record::{Cancelled, JobState, Promoted},
    script::{self, Script},
    stats::QueueStats,
    wire,
};

fn state(letter: Option<&u8>) -> Result<JobState, QueueError> {
    let state = match letter {
        Some(b's') => JobState::Scheduled,
        Some(b'a') => JobState::Available,
        Some(b'r') => JobState::Running,
        Some(b't') => JobState::Retryable,
        Some(b'c') => JobState::Completed,
        Some(b'x') => JobState::Cancelled,
        Some(b'd') => JobState::Dead,
        other => return Err(QueueError::Corrupt(format!("job state {other:?}"))),
    };
    Ok(state)
}

impl QueueClient {
    /// Cancels a waiting job at once; asks a running one to stop.
    pub async fn cancel(&self, id: JobId) -> Result<Cancelled, QueueError> {
        let answer = self.on_job(&script::CANCEL, id).await?;
        match answer.first() {
            Some(b'N') => Ok(Cancelled::Now),
            Some(b'R') => Ok(Cancelled::Requested),
            Some(b'F') => Ok(Cancelled::AlreadyFinished(state(answer.get(1))?)),
            _ => Ok(Cancelled::NotFound),
        }
    }

    /// Makes a job that waits for a time available now.
    pub async fn promote(&self, id: JobId) -> Result<Promoted, QueueError> {
        let answer = self.on_job(&script::PROMOTE, id).await?;
        match answer.first() {
            Some(b'N') => Ok(Promoted::Now),
            Some(b'W') => Ok(Promoted::NotWaiting(state(answer.get(1))?)),
            _ => Ok(Promoted::NotFound),
        }
    }

    async fn on_job(&self, script: &Script, id: JobId) -> Result<Vec<u8>, QueueError> {
        if id.shard() >= self.shards() {
            return Ok(b"-".to_vec());
        }
        wire::bytes(self.link().call(script, id.shard(), &vec![id.tail().to_vec()]).await?)
    }

    /// Workers take nothing from the queue until it is resumed. While a server does not answer, the queue is paused in the shards
    /// of the others, and the error says so: repeat it.
    pub async fn pause(&self, name: &QueueName) -> Result<(), QueueError> {
        self.set_paused(name, true).await
    }

    /// Undoes [`pause`](Self::pause).
    pub async fn resume(&self, name: &QueueName) -> Result<(), QueueError> {
        self.set_paused(name, false).await
    }

    async fn set_paused(&self, name: &QueueName, paused: bool) -> Result<(), QueueError> {
        let flag = if paused { "1" } else { "0" };
        let answers = self.ask_all_shards(&script::PAUSE, &vec![name.as_str().into(), flag.into()]).await;
        answers.into_iter().find_map(Result::err).map_or(Ok(()), Err)
    }

    /// Asks all shards, so that one that does not answer keeps none from being asked.
    async fn ask_all_shards(&self, script: &Script, args: &Args) -> Vec<Result<Value, QueueError>> {
        join_all((0..self.shards()).map(|shard| self.link().call(script, shard, args))).await
    }

    pub(super) async fn on_all_shards(&self, script: &Script, args: &Args) -> Result<Vec<Value>, QueueError> {
        try_join_all((0..self.shards()).map(|shard| self.link().call(script, shard, args))).await
    }

    /// All queues that hold or held jobs, by name. What stands in shards of a server that does not answer is not in the figures:
    /// see [`QueueStats::missing_shards`].
    pub async fn queues(&self) -> Result<Vec<QueueStats>, QueueError> {
        Ok(self.read_stats("").await?.into_values().collect())
    }

    /// One queue. A queue that never held a job has zeros everywhere.
    pub async fn queue(&self, name: &QueueName) -> Result<QueueStats, QueueError> {
        let mut all = self.read_stats(name.as_str()).await?;
        Ok(all.remove(name.as_str()).unwrap_or_else(|| QueueStats::empty(name.clone())))
    }

    async fn read_stats(&self, only: &str) -> Result<BTreeMap<String, QueueStats>, QueueError> {
        let mut all: BTreeMap<String, QueueStats> = BTreeMap::new();
        let mut missing = Vec::new();
        for answer in self.ask_all_shards(&script::STATS, &vec![only.into()]).await {
            let answer = match answer {
                Err(error @ QueueError::Unreachable(_)) if self.link().servers() > 1 => {
                    missing.push(error);
                    continue;
                }
                answer => answer?,
            };
            let [counters, paused, ages] = wire::fields(answer)?;
            let paused = wire::list(paused)?.into_iter().map(wire::text).collect::<Result<HashSet<_>, _>>()?;
            for pair in wire::list(counters)?.chunks_exact(2) {
                let field = wire::text(pair[0].clone())?;
                let Some((queue, letter)) = field.rsplit_once(':') else {
                    continue;
                };
                if let Some(stats) = entry(&mut all, queue, only) {
                    stats.add(letter, u64::try_from(wire::integer(&pair[1])?).unwrap_or_default());
                }
            }
            for queue in paused {
                if let Some(stats) = entry(&mut all, &queue, only) {
                    stats.paused = true;
                }
            }
            for pair in wire::list(ages)?.chunks_exact(2) {
                if let Some(stats) = entry(&mut all, &wire::text(pair[0].clone())?, only) {
                    let age = Duration::from_millis(wire::integer(&pair[1])?.unsigned_abs());
                    stats.oldest_age = stats.oldest_age.max(Some(age));
                }
            }
        }
        if missing.len() == usize::from(self.shards())
            && let Some(error) = missing.pop()
        {
            return Err(error);
        }
        if !missing.is_empty() && !only.is_empty() {
            entry(&mut all, only, only); // none of the others may know the queue
        }
        for stats in all.values_mut() {
            stats.missing_shards = u16::try_from(missing.len()).unwrap_or(u16::MAX);
        }
        Ok(all)
    }
}

fn entry<'a>(all: &'a mut BTreeMap<String, QueueStats>, queue: &str, only: &str) -> Option<&'a mut QueueStats> {
    if !only.is_empty() && queue != only {
        return None;
    }
    let name = QueueName::parse(queue).ok()?;
    Some(all.entry(queue.to_owned()).or_insert_with(|| QueueStats::empty(name)))
}

impl QueueStats {
    fn empty(name: QueueName) -> Self {
        Self {
            name,
            available: 0,
            scheduled: 0,
            retryable: 0,
            running: 0,
            dead: 0,
            completed: 0,
            lanes: 0,
            parked_lanes: 0,
            stepped_aside: 0,
            oldest_age: None,
            paused: false,
            missing_shards: 0,
        }
    }

    /// Adds a shard's counter, known by its letter.
    fn add(&mut self, letter: &str, by: u64) {
        let counter = match letter {
            "a" => &mut self.available,
            "s" => &mut self.scheduled,
            "t" => &mut self.retryable,
            "r" => &mut self.running,
            "d" => &mut self.dead,
            "c" => &mut self.completed,
            "l" => &mut self.lanes,
            "p" => &mut self.parked_lanes,
            "k" => &mut self.stepped_aside,
            _ => return,
        };
        *counter += by;
    }
}
