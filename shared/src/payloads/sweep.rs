use std::collections::HashSet;

use chrono::TimeDelta;
use postrider_queue::{JobId, QueueClient, QueueError};

use super::{PayloadReference, PayloadStoreError, Payloads, StoredPayload};
use crate::{
    database::{AllTenants, StoreError},
    dead_letters::{DeadLetter, DeadLetterState, DeadLetters},
};

/// So long after it was stored a payload may be that of a job which is still on its way into the queue.
pub(super) const GRACE: TimeDelta = TimeDelta::hours(1);
/// How often it is asked whether a payload's job is still known.
const LOOK_EVERY: TimeDelta = TimeDelta::hours(1);

/// When it is asked again after a server that did not answer.
const PUT_OFF: TimeDelta = TimeDelta::minutes(10);

/// Why a step of the sweep failed; it is taken again.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Payload(#[from] PayloadStoreError),
}

/// Removes payloads whose jobs are forgotten: their record expired, their dead letter was discarded, or they never came into the
/// queue. Who does not answer removes nothing: payloads whose server of the queue, or file, cannot be asked now are looked at again
/// later, and hold up no others meanwhile.
#[derive(Clone)]
pub struct PayloadSweep {
    payloads: Payloads,
    letters: DeadLetters,
    queue: QueueClient,
}

/// What a step did.
#[derive(Debug, Default)]
pub struct Swept {
    /// Payloads that were looked at.
    pub looked: usize,
    /// Why some of them were put off.
    pub failed: Option<SweepError>,
}

enum Verdict {
    /// Still needed, by this job.
    Keep(String),
    Remove,
}

impl PayloadSweep {
    pub fn new(payloads: Payloads, letters: DeadLetters, queue: QueueClient) -> Self {
        Self { payloads, letters, queue }
    }

    /// Looks at up to `limit` payloads.
    pub async fn step(&self, limit: u64) -> Result<Swept, SweepError> {
        let due = self.payloads.due(AllTenants, limit).await?;
        let mut swept = Swept { looked: due.len(), failed: None };
        // A server that says nothing is not asked for each of its payloads.
        let mut away = HashSet::new();
        for payload in due {
            let shard = self.queue.shard_of(&payload.tenant_id.into());
            let looked = if away.contains(&shard) { None } else { Some(self.look(&payload).await) };
            match looked {
                Some(Ok(())) => continue,
                Some(Err(error @ SweepError::Queue(_))) => {
                    away.insert(shard);
                    swept.failed = Some(error);
                }
                Some(Err(error @ SweepError::Payload(PayloadStoreError::File(_) | PayloadStoreError::TimedOut))) => {
                    swept.failed = Some(error);
                }
                Some(Err(error)) => return Err(error),
                None => {}
            }
            self.payloads.keep(payload.id, payload.job_id, self.payloads.now() + PUT_OFF).await?;
        }
        Ok(swept)
    }

    async fn look(&self, payload: &StoredPayload) -> Result<(), SweepError> {
        match self.judge(payload).await? {
            Verdict::Keep(job) => self.payloads.keep(payload.id, job, self.payloads.now() + LOOK_EVERY).await?,
            Verdict::Remove => self.payloads.remove(payload.tenant_id, payload.id).await?,
        }
        Ok(())
    }

    async fn judge(&self, payload: &StoredPayload) -> Result<Verdict, SweepError> {
        let Ok(job) = payload.job_id.parse::<JobId>() else { return Ok(Verdict::Remove) };
        // The queue first: a dead letter has its row before the queue forgets it.
        let record = self.queue.get(job).await?;
        if let Some(letter) = self.letters.of_job(payload.tenant_id, &payload.job_id).await? {
            return Ok(after_death(payload, &letter)?);
        }
        if record.is_some() || self.payloads.now() < payload.created_at + GRACE {
            return Ok(Verdict::Keep(payload.job_id.clone()));
        }
        Ok(Verdict::Remove)
    }
}

/// Of a job that died.
fn after_death(payload: &StoredPayload, letter: &DeadLetter) -> Result<Verdict, StoreError> {
    match letter.state {
        DeadLetterState::Dead | DeadLetterState::Redriving => Ok(Verdict::Keep(payload.job_id.clone())),
        DeadLetterState::Discarded => Ok(Verdict::Remove),
        DeadLetterState::Redriven => {
            let taken = letter.redrive_payload.as_ref().unwrap_or(&letter.payload);
            let refers = PayloadReference::read(taken).is_some_and(|reference| reference.id == payload.id);
            let successor = letter.successor()?.filter(|_| refers);
            Ok(successor.map_or(Verdict::Remove, |job| Verdict::Keep(job.to_string())))
        }
    }
}
