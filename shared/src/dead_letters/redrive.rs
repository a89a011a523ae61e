use chrono::{DateTime, Utc};
use postrider_queue::{Enqueued, JobId, QueueClient, QueueError};

use super::{BegunRedrive, DeadLetter, DeadLetters};
use crate::{
    database::{AllTenants, StoreError},
    ids::{DeadLetterId, TenantId},
    outbox::{Enqueue, RelayError},
};

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
}

impl<Q: Enqueue> Redriver<Q> {
    pub fn new(letters: DeadLetters, queue: Q) -> Self {
        Self { letters, queue }
    }

    /// Redrives a letter, with another payload if one is given.
    pub async fn redrive(
        &self,
        tenant: TenantId,
        id: DeadLetterId,
        payload: Option<Vec<u8>>,
    ) -> Result<Redriven, RelayError> {
        match self.letters.begin_redrive(tenant, id, payload).await? {
            BegunRedrive::Begun(letter) | BegunRedrive::Underway(letter) => self.enqueue(letter).await,
            BegunRedrive::Settled(letter) => Ok(match letter.successor()? {
                Some(job) => Redriven::Enqueued { job, letter },
                None => Redriven::Discarded(letter),
            }),
        }
    }

    /// Ends redrives that began before `before` and did not end; returns how many it looked at.
    pub async fn sweep(&self, before: DateTime<Utc>, limit: u64) -> Result<usize, RelayError> {
        let letters = self.letters.redriving(AllTenants, before, limit).await?;
        let count = letters.len();
        for letter in letters {
            self.enqueue(letter).await?;
        }
        Ok(count)
    }

    pub(super) fn letters(&self) -> &DeadLetters {
        &self.letters
    }

    pub(super) fn queue(&self) -> &Q {
        &self.queue
    }

    pub(super) async fn enqueue(&self, letter: DeadLetter) -> Result<Redriven, RelayError> {
        let (tenant, id) = (letter.tenant_id, letter.id);
        let job = match letter.redrive_job() {
            Ok(job) => job,
            Err(error @ StoreError::Unreadable { .. }) => return self.refuse(&letter, &error.to_string()).await,
            Err(error) => return Err(error.into()),
        };
        let enqueued = match self.queue.enqueue_many(vec![job]).await {
            Ok(enqueued) => enqueued,
            Err(error @ QueueError::Invalid { .. }) => return self.refuse(&letter, &error.to_string()).await,
            Err(error) => return Err(error.into()),
        };
        match enqueued.first() {
            Some(Enqueued::BatchClosed(_)) => self.refuse(&letter, "its batch has ended").await,
            Some(
                Enqueued::Created(job)
                | Enqueued::Exists(job)
                | Enqueued::IdempotencyConflict(job)
                | Enqueued::Replaced(job),
            ) => Ok(Redriven::Enqueued { job: *job, letter: self.letters.redriven(tenant, id, *job).await? }),
            Some(Enqueued::UniqueTaken(holder)) => {
                let reason = format!("a job like this one is in the queue already: {holder}");
                let letter = self.letters.redrive_refused(tenant, id, &reason).await?;
                Ok(Redriven::UniqueTaken { holder: *holder, letter })
            }
            None => Err(QueueError::Corrupt("no answer for an enqueued job".to_owned()).into()),
        }
    }

    async fn refuse(&self, letter: &DeadLetter, reason: &str) -> Result<Redriven, RelayError> {
        Ok(Redriven::Refused(self.letters.redrive_refused(letter.tenant_id, letter.id, reason).await?))
    }
}
