//! What the job in a dead letter's place is made of: all of the letter but its error and the history of its attempts.

use std::time::Duration;

use postrider_queue::{JobId, JobKind, Lane, Links, NewJob, QueueError, QueueName, UniqueFor, UniqueKey};
use sea_orm::FromQueryResult;

use super::{Column, row::Model};
use crate::{
    database::StoreError,
    ids::{DeadLetterId, TenantId},
    jobs,
};

/// The columns of a letter that its job is made of.
#[derive(Debug, Clone, FromQueryResult)]
pub(super) struct Origin {
    pub(super) id: DeadLetterId,
    pub(super) tenant_id: TenantId,
    job_id: String,
    death_number: i64,
    pub(super) kind: String,
    queue: String,
    lane: String,
    priority: String,
    pub(super) payload: Vec<u8>,
    pub(super) redrive_payload: Option<Vec<u8>>,
    max_attempts: i32,
    unique_key: Option<String>,
    unique_for: Option<String>,
    links: Option<String>,
    recipient: Option<String>,
}

impl From<Model> for Origin {
    fn from(letter: Model) -> Self {
        Self {
            id: letter.id,
            tenant_id: letter.tenant_id,
            job_id: letter.job_id,
            death_number: letter.death_number,
            kind: letter.kind,
            queue: letter.queue,
            lane: letter.lane,
            priority: letter.priority,
            payload: letter.payload,
            redrive_payload: letter.redrive_payload,
            max_attempts: letter.max_attempts,
            unique_key: letter.unique_key,
            unique_for: letter.unique_for,
            links: letter.links,
            recipient: letter.recipient,
        }
    }
}

/// The id of the job in the place of the one that died so.
pub(super) fn successor(job_id: &str, death_number: i64) -> Result<JobId, QueueError> {
    let old: JobId = job_id.parse()?;
    Ok(JobId::derived(old.shard(), &["redrive", job_id, &death_number.to_string()]))
}

impl Origin {
    pub(super) const COLUMNS: [Column; 15] = [
        Column::Id,
        Column::TenantId,
        Column::JobId,
        Column::DeathNumber,
        Column::Kind,
        Column::Queue,
        Column::Lane,
        Column::Priority,
        Column::Payload,
        Column::RedrivePayload,
        Column::MaxAttempts,
        Column::UniqueKey,
        Column::UniqueFor,
        Column::Links,
        Column::Recipient,
    ];

    /// The id of that job.
    pub(super) fn successor(&self) -> Result<JobId, QueueError> {
        successor(&self.job_id, self.death_number)
    }

    /// The job that takes the place of the one that died: the same for every call, so that it is enqueued once.
    ///
    /// It has all of the old one but its time (it is due now), its idempotency key (a redrive is another request) and its
    /// batch, which has counted the death. A key that was held for a period is held until that period ends, which the queue
    /// knows; one that let a newer job take the place of a waiting one is refused by a newer one that waits.
    pub(super) fn job(&self) -> Result<NewJob, StoreError> {
        let unreadable = |reason: String| StoreError::Unreadable { what: "dead letter", reason };
        let name = |error: QueueError| unreadable(error.to_string());
        let json = |error: serde_json::Error| unreadable(error.to_string());
        let lane: Lane = serde_json::from_str(&self.lane).map_err(json)?;
        let links: Links =
            self.links.as_deref().map(serde_json::from_str).transpose().map_err(json)?.unwrap_or_default();
        let held: UniqueFor =
            self.unique_for.as_deref().map(serde_json::from_str).transpose().map_err(json)?.unwrap_or_default();
        Ok(NewJob {
            tenant: self.tenant_id.into(),
            id: Some(successor(&self.job_id, self.death_number).map_err(name)?),
            keep: jobs::find(&self.kind).map_or(Duration::from_hours(24), |kind| kind.keep),
            kind: JobKind::parse(self.kind.as_str()).map_err(name)?,
            queue: QueueName::parse(self.queue.as_str()).map_err(name)?,
            lane,
            priority: self.priority.parse().map_err(name)?,
            payload: self.redrive_payload.as_ref().unwrap_or(&self.payload).clone(),
            run_at: None,
            max_attempts: u32::try_from(self.max_attempts).unwrap_or(1).max(1),
            unique_key: self.unique_key.clone().map(UniqueKey),
            unique_for: match held {
                UniqueFor::Waiting | UniqueFor::Replace => UniqueFor::Waiting,
                UniqueFor::WaitingOrRunning | UniqueFor::Period(_) => UniqueFor::WaitingOrRunning,
            },
            idempotency_key: None,
            links: Links { batch: None, redriven_from: Some(self.job_id.parse().map_err(name)?), ..links },
            recipient: self.recipient.as_deref().map(str::parse).transpose().map_err(name)?,
        })
    }
}
