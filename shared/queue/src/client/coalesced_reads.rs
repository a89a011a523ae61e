//! Single records, read together: whoever asks at the same time as others shares a call with them.
//!
//! A job's end may wake hundreds who wait for their jobs, and ten thousand who wait look again every few seconds. Nobody waits for
//! a call that is on its way: what it says may be older than the question.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use super::reading::records_and_others;
use crate::{
    error::QueueError,
    id::JobId,
    link::{Args, Link},
    record::JobRecord,
    script, wire,
};

/// Records that are asked for together.
const TOGETHER: usize = 64;

type Answer = Result<Option<JobRecord>, QueueError>;

/// Those who ask, by shard.
#[derive(Debug)]
pub(super) struct Readers {
    link: Link,
    tasks: TaskTracker,
    asked: Vec<Mutex<Asked>>,
}

#[derive(Debug, Default)]
struct Asked {
    waiting: Vec<(JobId, oneshot::Sender<Answer>)>,
    /// A task is about to take them along.
    boarding: bool,
}

impl Readers {
    pub(super) fn open(link: &Link, shards: u16, tasks: &TaskTracker) -> Arc<Self> {
        let asked = (0..shards).map(|_| Mutex::default()).collect();
        Arc::new(Self { link: link.clone(), tasks: tasks.clone(), asked })
    }

    fn asked(&self, shard: u16) -> MutexGuard<'_, Asked> {
        self.asked[usize::from(shard)].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The record as it is now. The id's shard must be one there is.
    pub(super) async fn read(self: &Arc<Self>, id: JobId) -> Answer {
        let (caller, answer) = oneshot::channel();
        let first = {
            let mut asked = self.asked(id.shard());
            asked.waiting.push((id, caller));
            !std::mem::replace(&mut asked.boarding, true)
        };
        if first {
            let readers = Arc::clone(self);
            self.tasks.spawn(async move {
                // Whoever is about to ask in this moment comes along.
                tokio::task::yield_now().await;
                readers.leave(id.shard());
            });
        }
        answer.await.map_err(|_| QueueError::Closed)?
    }

    /// Makes the calls for all who wait.
    fn leave(self: &Arc<Self>, shard: u16) {
        let mut waiting = {
            let mut asked = self.asked(shard);
            asked.boarding = false;
            std::mem::take(&mut asked.waiting)
        };
        waiting.retain(|(_, caller)| !caller.is_closed());
        while !waiting.is_empty() {
            let rest = waiting.split_off(waiting.len().min(TOGETHER));
            let group = std::mem::replace(&mut waiting, rest);
            let readers = Arc::clone(self);
            self.tasks.spawn(async move { readers.call(shard, group).await });
        }
    }

    async fn call(&self, shard: u16, group: Vec<(JobId, oneshot::Sender<Answer>)>) {
        let ids: Args = group.iter().map(|(id, _)| id.tail().to_vec()).collect();
        let read = async {
            let answer = wire::fields(self.link.call(&script::READ, shard, &ids).await?)?;
            let read = records_and_others(&self.link, shard, answer).await?;
            let many = read.len();
            if many == ids.len() {
                Ok(read)
            } else {
                Err(QueueError::Corrupt(format!("{many} of {} records", ids.len())))
            }
        };
        match read.await {
            Ok(read) => {
                for ((_, caller), (_, record)) in group.into_iter().zip(read) {
                    let _ = caller.send(Ok(record)); // or nobody waits any more
                }
            }
            Err(error) => {
                for (_, caller) in group {
                    let _ = caller.send(Err(error.copy()));
                }
            }
        }
    }
}
