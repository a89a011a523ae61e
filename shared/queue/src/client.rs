//! The queue as callers see it.

use std::time::Duration;

use futures::Stream;

use crate::{
    config::QueueConfig,
    error::QueueError,
    id::JobId,
    job::{Enqueued, NewJob},
    name::{QueueName, ScopeKey, Tenant},
    record::{Cancelled, DeadLetter, JobRecord, ListFilter, Page, Promoted},
    scope::{ScopeLimits, ScopeState},
    stats::QueueStats,
};

/// A connection to the queue. Clones share it.
#[derive(Debug, Clone)]
pub struct QueueClient {}

/// What one maintenance step found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ticked {
    /// Jobs whose time had come.
    pub promoted: u64,
    /// Jobs taken back from dead sessions.
    pub rescued: u64,
    /// Jobs buried as poison.
    pub poisoned: u64,
    /// Lanes whose time had come.
    pub unparked: u64,
    /// Expired records removed.
    pub pruned: u64,
    /// Whether some shard has more to do at once.
    pub more: bool,
}

#[expect(
    clippy::unused_self,
    clippy::unused_async,
    reason = "signatures first; bodies follow"
)]
impl QueueClient {
    /// Connects and checks that this Redis can keep a promise: no eviction, a memory limit, an append-only file; same
    /// protocol version and number of shards.
    pub async fn connect(_config: QueueConfig) -> Result<Self, QueueError> {
        unimplemented!()
    }

    /// The shard of a tenant.
    pub fn shard_of(&self, _tenant: &Tenant) -> u16 {
        unimplemented!()
    }

    /// A new random id for a job of this tenant.
    pub fn job_id(&self, _tenant: &Tenant) -> JobId {
        unimplemented!()
    }

    /// The id that follows from these parts, for a job of this tenant. The tenant itself is one of the parts.
    pub fn derived_job_id(&self, _tenant: &Tenant, _parts: &[&str]) -> JobId {
        unimplemented!()
    }

    /// Whether Redis answers.
    pub async fn ping(&self) -> Result<(), QueueError> {
        unimplemented!()
    }

    /// Enqueues a job. When this returns, it is in Redis and, under `appendfsync always`, on disk. Concurrent calls share
    /// round trips.
    pub async fn enqueue(&self, _job: NewJob) -> Result<Enqueued, QueueError> {
        unimplemented!()
    }

    /// Enqueues any number of jobs, in bounded chunks; answers in the same order. Nothing is sent if one of them is malformed.
    /// On an error some may have been enqueued; repeat with ids given.
    pub async fn enqueue_many(&self, _jobs: Vec<NewJob>) -> Result<Vec<Enqueued>, QueueError> {
        unimplemented!()
    }

    /// The record of a job.
    pub async fn get(&self, _id: JobId) -> Result<Option<JobRecord>, QueueError> {
        unimplemented!()
    }

    /// A tenant's newest jobs, newest first. The index is bounded: of each kind the newest 1,000, of all kinds together 10,000.
    pub async fn list(
        &self,
        _tenant: &Tenant,
        _filter: &ListFilter,
        _cursor: Option<String>,
        _limit: usize,
    ) -> Result<Page<JobRecord>, QueueError> {
        unimplemented!()
    }

    /// Cancels a waiting job at once; asks a running one to stop.
    pub async fn cancel(&self, _id: JobId) -> Result<Cancelled, QueueError> {
        unimplemented!()
    }

    /// Makes a job that waits for a time available now.
    pub async fn promote(&self, _id: JobId) -> Result<Promoted, QueueError> {
        unimplemented!()
    }

    /// The record once the job has ended, or as it is when the time is over.
    pub async fn wait(
        &self,
        _id: JobId,
        _at_most: Duration,
    ) -> Result<Option<JobRecord>, QueueError> {
        unimplemented!()
    }

    /// The record now and after each change of state or progress, until the job has ended. Changes in quick succession
    /// may be seen as one.
    pub fn watch(&self, _id: JobId) -> impl Stream<Item = JobRecord> + Send + 'static {
        futures::stream::empty()
    }

    /// All queues that hold or held jobs.
    pub async fn queues(&self) -> Result<Vec<QueueStats>, QueueError> {
        unimplemented!()
    }

    /// One queue.
    pub async fn queue(&self, _name: &QueueName) -> Result<QueueStats, QueueError> {
        unimplemented!()
    }

    /// Workers take nothing from the queue until it is resumed.
    pub async fn pause(&self, _name: &QueueName) -> Result<(), QueueError> {
        unimplemented!()
    }

    /// Undoes [`pause`](Self::pause).
    pub async fn resume(&self, _name: &QueueName) -> Result<(), QueueError> {
        unimplemented!()
    }

    /// Defines or redefines the limits of a scope and wakes lanes that may now go on.
    pub async fn define_scope(
        &self,
        _tenant: &Tenant,
        _scope: &ScopeKey,
        _limits: &ScopeLimits,
    ) -> Result<(), QueueError> {
        unimplemented!()
    }

    /// What a scope has given so far; none if it is not defined.
    pub async fn scope(
        &self,
        _tenant: &Tenant,
        _scope: &ScopeKey,
    ) -> Result<Option<ScopeState>, QueueError> {
        unimplemented!()
    }

    /// The scope allows nothing until it is resumed. False if it is not defined.
    pub async fn pause_scope(
        &self,
        _tenant: &Tenant,
        _scope: &ScopeKey,
    ) -> Result<bool, QueueError> {
        unimplemented!()
    }

    /// Undoes [`pause_scope`](Self::pause_scope).
    pub async fn resume_scope(
        &self,
        _tenant: &Tenant,
        _scope: &ScopeKey,
    ) -> Result<bool, QueueError> {
        unimplemented!()
    }

    /// Dead letters of a shard that have not been archived, oldest first, at most `limit` (and at most 256).
    pub async fn dead(&self, _shard: u16, _limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        unimplemented!()
    }

    /// Tells that these dead letters have their row: from now on the row owns them. Repeats do no harm.
    pub async fn dead_archived(&self, _letters: &[(JobId, u64)]) -> Result<(), QueueError> {
        unimplemented!()
    }

    /// Number of shards.
    pub fn shards(&self) -> u16 {
        unimplemented!()
    }

    /// One bounded step of maintenance in every shard: promotes due jobs, rescues the jobs of dead sessions, unparks lanes,
    /// prunes expired records. Every worker and the scheduler take these steps about five times a second; none needs another.
    pub async fn tick(&self) -> Result<Ticked, QueueError> {
        unimplemented!()
    }
}
