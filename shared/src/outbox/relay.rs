use std::collections::HashSet;

use async_trait::async_trait;
use postrider_queue::{Enqueued, JobId, NewJob, QueueClient, QueueError, Tenant};

use super::{Outbox, OutboxEntry};
use crate::{
    database::StoreError,
    ids::{OutboxId, TenantId},
};

/// The part of the queue that takes jobs.
#[async_trait]
pub trait Enqueue: Send + Sync {
    async fn enqueue_many(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>, QueueError>;

    /// The same, with an answer for each. The outer error means that one is malformed and none was taken.
    async fn enqueue_each(&self, jobs: Vec<NewJob>) -> Result<Vec<Result<Enqueued, QueueError>>, QueueError>;

    /// Whether it has this job, in whatever state.
    async fn has(&self, job: JobId) -> Result<bool, QueueError>;

    /// The id that follows from the parts, for a job of this tenant.
    fn derived_job_id(&self, tenant: &Tenant, parts: &[&str]) -> JobId;
}

#[async_trait]
impl Enqueue for QueueClient {
    async fn enqueue_many(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>, QueueError> {
        Self::enqueue_many(self, jobs).await
    }

    async fn enqueue_each(&self, jobs: Vec<NewJob>) -> Result<Vec<Result<Enqueued, QueueError>>, QueueError> {
        Self::enqueue_each(self, jobs).await
    }

    async fn has(&self, job: JobId) -> Result<bool, QueueError> {
        Ok(self.get(job).await?.is_some())
    }

    fn derived_job_id(&self, tenant: &Tenant, parts: &[&str]) -> JobId {
        Self::derived_job_id(self, tenant, parts)
    }
}

/// Why a relay stopped. What it did not mark is tried again by the next sweep.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl RelayError {
    /// Whether it may succeed later without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Queue(error) => error.is_transient(),
        }
    }
}

/// What one run of the relay did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Relayed {
    /// Jobs that are in the queue now.
    pub enqueued: usize,
    /// Entries the queue will never take; each was logged and keeps its reason.
    pub refused: usize,
}

/// What became of entries that were brought to the queue.
#[derive(Debug, Default)]
pub(super) struct Brought {
    pub(super) relayed: Relayed,
    /// Why others could not go now.
    pub(super) put_off: Option<QueueError>,
}

/// Brings outbox entries to the queue.
#[derive(Clone)]
pub struct Relay<Q = QueueClient> {
    outbox: Outbox,
    queue: Q,
}

impl<Q: Enqueue> Relay<Q> {
    pub fn new(outbox: Outbox, queue: Q) -> Self {
        Self { outbox, queue }
    }

    /// The id of the job that an entry becomes, unless the job was given one.
    pub fn job_id(&self, tenant: TenantId, entry: OutboxId) -> JobId {
        self.queue.derived_job_id(&tenant.into(), &["outbox", &entry.to_string()])
    }

    /// Where a tenant's jobs are: all in one shard.
    pub(super) fn shard_of(&self, tenant: TenantId) -> u16 {
        self.queue.derived_job_id(&tenant.into(), &["outbox"]).shard()
    }

    /// Relays the given entries, right after the commit that wrote them.
    pub async fn relay(&self, tenant: TenantId, entries: &[OutboxId]) -> Result<Relayed, RelayError> {
        let waiting = self.outbox.waiting_of(tenant, entries).await?;
        let Brought { relayed, put_off } = self.bring(waiting).await?;
        put_off.map_or(Ok(relayed), |error| Err(error.into()))
    }

    /// Brings entries of one tenant, as many as can go.
    pub(super) async fn bring(&self, entries: Vec<OutboxEntry>) -> Result<Brought, StoreError> {
        let mut brought = Brought::default();
        let mut ids = Vec::with_capacity(entries.len());
        let mut jobs = Vec::with_capacity(entries.len());
        for entry in entries {
            match entry.new_job() {
                Ok(job) => {
                    let id = job.id.unwrap_or_else(|| self.job_id(entry.tenant_id, entry.id));
                    ids.push(entry.id);
                    jobs.push(job.with_id(id));
                }
                Err(error) => {
                    self.refuse(entry.id, &error.to_string()).await?;
                    brought.relayed.refused += 1;
                }
            }
        }
        if jobs.is_empty() {
            return Ok(brought);
        }
        match self.queue.enqueue_many(jobs.clone()).await {
            // A unique key that is taken means that an equal job stands for this one.
            Ok(_) => {
                self.outbox.mark(&ids, None).await?;
                brought.relayed.enqueued += ids.len();
            }
            Err(QueueError::TooDeep { .. } | QueueError::Invalid { .. }) => {
                self.bring_singly(ids.into_iter().zip(jobs), &mut brought).await?;
            }
            Err(error) => brought.put_off = Some(error),
        }
        Ok(brought)
    }

    /// Each for itself: one that is malformed refuses its whole batch, and so does one whose queue is too deep.
    async fn bring_singly(
        &self,
        entries: impl Iterator<Item = (OutboxId, NewJob)>,
        brought: &mut Brought,
    ) -> Result<(), StoreError> {
        let mut deep = HashSet::new();
        for (id, job) in entries {
            let queue = job.queue.clone();
            if deep.contains(&queue) {
                continue;
            }
            match self.queue.enqueue_many(vec![job]).await {
                Ok(_) => {
                    self.outbox.mark(&[id], None).await?;
                    brought.relayed.enqueued += 1;
                }
                Err(error @ QueueError::Invalid { .. }) => {
                    self.refuse(id, &error.to_string()).await?;
                    brought.relayed.refused += 1;
                }
                Err(error @ QueueError::TooDeep { .. }) => {
                    deep.insert(queue);
                    brought.put_off = Some(error);
                }
                Err(error) => {
                    brought.put_off = Some(error);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn refuse(&self, entry: OutboxId, reason: &str) -> Result<(), StoreError> {
        tracing::error!(outbox_id = %entry, reason, "the queue will never take this job; it stays in the outbox with the reason");
        self.outbox.mark(&[entry], Some(reason.to_owned())).await
    }
}
