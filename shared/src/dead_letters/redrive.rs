use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use postrider_queue::{Enqueued, JobId, NewJob, QueueClient, QueueError};

use super::{BegunRedrive, DeadLetter, DeadLetters, Place, origin::Origin};
use crate::{
    database::{AllTenants, StoreError},
    ids::{DeadLetterId, TenantId},
    outbox::{Enqueue, RelayError},
    scopes::Scopes,
};

/// The note of a letter that may be redriven later.
pub(super) const NO_ROOM: &str = "the queue had no room for its job";

/// What became of a redrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redriven {
    /// The job is in the queue, by this call or by one before.
    Enqueued { job: JobId, letter: DeadLetter },
    /// Another job holds the unique key; the letter stays dead.
    UniqueTaken { holder: JobId, letter: DeadLetter },
    /// The queue will never take the job as it is; the letter stays dead and says why.
    Refused(DeadLetter),
    /// Somebody discarded it before.
    Discarded(DeadLetter),
}

/// Enqueues dead letters again, each once.
#[derive(Clone)]
pub struct Redriver<Q = QueueClient> {
    letters: DeadLetters,
    queue: Q,
    scopes: Option<Scopes>,
}

impl<Q: Enqueue> Redriver<Q> {
    pub fn new(letters: DeadLetters, queue: Q) -> Self {
        Self { letters, queue, scopes: None }
    }

    /// Defines the shares that redriven jobs name: a Redis that lost its data knows none, and their lanes would stay parked.
    #[must_use]
    pub fn with_scopes(self, scopes: Scopes) -> Self {
        Self { scopes: Some(scopes), ..self }
    }

    /// Redrives a letter, with another payload if one is given.
    pub async fn redrive(
        &self,
        tenant: TenantId,
        id: DeadLetterId,
        payload: Option<Vec<u8>>,
    ) -> Result<Redriven, RelayError> {
        match self.letters.begin_redrive(tenant, id, payload).await? {
            BegunRedrive::Begun(letter) => {
                let redriven = self.enqueue(&letter).await;
                if let Err(RelayError::Queue(QueueError::Full | QueueError::TooDeep { .. })) = &redriven
                    && let Err(error) = self.put_back(&letter).await
                {
                    tracing::warn!(%error, letter.id = %letter.id, "a dead letter that the queue has no room for is left to the sweep");
                }
                redriven
            }
            BegunRedrive::Underway(letter) => self.enqueue(&letter).await,
            BegunRedrive::Settled(letter) => Ok(match letter.successor()? {
                Some(job) => Redriven::Enqueued { job, letter },
                None => Redriven::Discarded(letter),
            }),
        }
    }

    /// Ends redrives that began before `before` and did not end; returns how many it looked at. The next step goes on at `place`,
    /// behind those that cannot end now. An error is that of one tenant; the others had their turn.
    pub async fn sweep(
        &self,
        before: DateTime<Utc>,
        place: &mut Option<Place>,
        limit: u64,
    ) -> Result<usize, RelayError> {
        let letters = self.letters.redriving(AllTenants, before, *place, limit).await?;
        let count = letters.len();
        *place = letters.last().filter(|_| count as u64 >= limit).map(|last| (last.updated_at, last.id));
        let mut by_tenant: BTreeMap<TenantId, Vec<Origin>> = BTreeMap::new();
        for letter in letters {
            by_tenant.entry(letter.tenant_id).or_default().push(letter.into());
        }
        let mut failed = None;
        for origins in by_tenant.into_values() {
            match self.bring(&origins).await {
                Ok(brought) => failed = brought.no_room.map(|(_, error)| error.into()).or(failed),
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(count), Err)
    }

    pub(super) fn letters(&self) -> &DeadLetters {
        &self.letters
    }

    pub(super) fn queue(&self) -> &Q {
        &self.queue
    }

    /// To be called before these jobs are enqueued.
    pub(super) async fn define_shares_of(&self, jobs: &[NewJob]) -> Result<(), QueueError> {
        match &self.scopes {
            Some(scopes) => scopes.define_shares_of(jobs).await,
            None => Ok(()),
        }
    }

    /// The queue has no room: the letter is dead again at once. Not so if the job is there after all, by a call before this one whose
    /// answer was lost.
    async fn put_back(&self, letter: &DeadLetter) -> Result<(), RelayError> {
        if let Some(job) = letter.redrive_job()?.id
            && !self.queue.has(job).await?
        {
            self.letters.redrive_refused(letter.tenant_id, letter.id, NO_ROOM).await?;
        }
        Ok(())
    }

    async fn enqueue(&self, letter: &DeadLetter) -> Result<Redriven, RelayError> {
        let (tenant, id) = (letter.tenant_id, letter.id);
        let job = match letter.redrive_job() {
            Ok(job) => job,
            Err(error @ StoreError::Unreadable { .. }) => return self.refuse(letter, &error.to_string()).await,
            Err(error) => return Err(error.into()),
        };
        let jobs = vec![job];
        self.define_shares_of(&jobs).await?;
        let enqueued = match self.queue.enqueue_many(jobs).await {
            Ok(enqueued) => enqueued,
            Err(error @ QueueError::Invalid { .. }) => return self.refuse(letter, &error.to_string()).await,
            Err(error) => return Err(error.into()),
        };
        let answer =
            *enqueued.first().ok_or_else(|| QueueError::Corrupt("no answer for an enqueued job".to_owned()))?;
        match verdict(answer) {
            Ok(job) => Ok(Redriven::Enqueued { job, letter: self.letters.redriven(tenant, id, job).await? }),
            Err(refusal @ Refusal::UniqueTaken(holder)) => {
                let letter = self.letters.redrive_refused(tenant, id, &refusal.to_string()).await?;
                Ok(Redriven::UniqueTaken { holder, letter })
            }
            Err(refusal @ Refusal::BatchEnded) => self.refuse(letter, &refusal.to_string()).await,
        }
    }

    async fn refuse(&self, letter: &DeadLetter, reason: &str) -> Result<Redriven, RelayError> {
        Ok(Redriven::Refused(self.letters.redrive_refused(letter.tenant_id, letter.id, reason).await?))
    }
}

/// Why the queue did not take a job that is well formed. The text is the letter's note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("a job like this one is in the queue already: {0}")]
    UniqueTaken(JobId),
    #[error("its batch has ended")]
    BatchEnded,
}

/// The job that stands for the letter now, if one does.
pub(super) fn verdict(answer: Enqueued) -> Result<JobId, Refusal> {
    match answer {
        Enqueued::Created(job)
        | Enqueued::Exists(job)
        | Enqueued::IdempotencyConflict(job)
        | Enqueued::Replaced(job) => Ok(job),
        Enqueued::UniqueTaken(holder) => Err(Refusal::UniqueTaken(holder)),
        Enqueued::BatchClosed(_) => Err(Refusal::BatchEnded),
    }
}
