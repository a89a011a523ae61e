use async_trait::async_trait;
use postrider_queue::{Enqueued, JobId, NewJob, QueueClient, QueueError, Tenant};

use super::{Outbox, OutboxEntry};
use crate::{
    database::{AllTenants, StoreError},
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

    /// Relays the given entries, right after the commit that wrote them.
    pub async fn relay(&self, tenant: TenantId, entries: &[OutboxId]) -> Result<Relayed, RelayError> {
        let waiting = self.outbox.waiting_of(tenant, entries).await?;
        self.bring(waiting).await
    }

    /// Relays whatever waits, oldest first, at most `limit` entries.
    pub async fn run_once(&self, limit: u64) -> Result<Relayed, RelayError> {
        let waiting = self.outbox.waiting(AllTenants, limit).await?;
        self.bring(waiting).await
    }

    async fn bring(&self, entries: Vec<OutboxEntry>) -> Result<Relayed, RelayError> {
        let mut relayed = Relayed::default();
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
                    relayed.refused += 1;
                }
            }
        }
        if jobs.is_empty() {
            return Ok(relayed);
        }
        match self.queue.enqueue_many(jobs.clone()).await {
            // A unique key that is taken means that an equal job stands for this one.
            Ok(_) => {
                self.outbox.mark(&ids, None).await?;
                relayed.enqueued += ids.len();
            }
            // A queue that is too deep must not hold up entries for others: each for itself.
            Err(deep @ QueueError::TooDeep { .. }) => {
                for (id, job) in ids.into_iter().zip(jobs) {
                    match self.queue.enqueue_many(vec![job]).await {
                        Ok(_) => {
                            self.outbox.mark(&[id], None).await?;
                            relayed.enqueued += 1;
                        }
                        Err(QueueError::TooDeep { .. }) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                if relayed.enqueued == 0 {
                    return Err(deep.into());
                }
            }
            Err(error) if error.is_transient() => return Err(error.into()),
            // One malformed job refuses its whole batch: find it, so that it does not stop the others for ever.
            Err(QueueError::Invalid { .. }) => {
                for (id, job) in ids.into_iter().zip(jobs) {
                    match self.queue.enqueue_many(vec![job]).await {
                        Ok(_) => {
                            self.outbox.mark(&[id], None).await?;
                            relayed.enqueued += 1;
                        }
                        Err(error @ QueueError::Invalid { .. }) => {
                            self.refuse(id, &error.to_string()).await?;
                            relayed.refused += 1;
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
            }
            Err(error) => return Err(error.into()),
        }
        Ok(relayed)
    }

    async fn refuse(&self, entry: OutboxId, reason: &str) -> Result<(), StoreError> {
        tracing::error!(outbox_id = %entry, reason, "the queue will never take this job; it stays in the outbox with the reason");
        self.outbox.mark(&[entry], Some(reason.to_owned())).await
    }
}
