use std::time::Duration;

use chrono::{DateTime, Utc};
use postrider_queue::{JobId, JobKind, Lane, Links, NewJob, Priority, QueueName, UniqueFor, UniqueKey};
use sea_orm::entity::prelude::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
};

use super::DeadLetterState;
use crate::{
    database::StoreError,
    ids::{DeadLetterId, TenantId},
    jobs,
};

/// A job that failed for good.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "dead_letters")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: DeadLetterId,
    pub tenant_id: TenantId,
    pub job_id: String,
    /// Tells deaths of one job id apart.
    pub death_number: i64,
    pub kind: String,
    pub queue: String,
    /// The [`Lane`] as JSON.
    pub lane: String,
    /// As it was in the queue; it may be what could not be decoded.
    pub payload: Vec<u8>,
    pub attempts: i32,
    pub max_attempts: i32,
    pub unique_key: Option<String>,
    pub error: String,
    pub died_at: DateTime<Utc>,
    pub state: DeadLetterState,
    /// The payload a person put in the place of the old one.
    pub redrive_payload: Option<Vec<u8>>,
    pub redriven_job_id: Option<String>,
    /// Why a redrive did not come about.
    pub note: Option<String>,
    pub updated_at: DateTime<Utc>,
    /// Which letters died of the same thing.
    pub error_group: String,
    /// The attempts that failed, as JSON.
    pub history: String,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// The job in the place of this one, once it was redriven.
    pub fn successor(&self) -> Result<Option<JobId>, StoreError> {
        let unreadable = |error: postrider_queue::QueueError| StoreError::Unreadable {
            what: "dead letter",
            reason: error.to_string(),
        };
        match (&self.redriven_job_id, self.state) {
            (Some(job), _) => job.parse().map(Some).map_err(unreadable),
            // Redriven together with others: its id follows from the letter.
            (None, DeadLetterState::Redriven) => self.successor_id().map(Some).map_err(unreadable),
            (None, DeadLetterState::Dead | DeadLetterState::Redriving | DeadLetterState::Discarded) => Ok(None),
        }
    }

    fn successor_id(&self) -> Result<JobId, postrider_queue::QueueError> {
        let old: JobId = self.job_id.parse()?;
        Ok(JobId::derived(old.shard(), &["redrive", &self.job_id, &self.death_number.to_string()]))
    }

    /// The job that takes the place of this one: the same for every call, so that it is enqueued once.
    pub fn redrive_job(&self) -> Result<NewJob, StoreError> {
        let unreadable = |reason: String| StoreError::Unreadable { what: "dead letter", reason };
        let name = |error: postrider_queue::QueueError| unreadable(error.to_string());
        let old: JobId = self.job_id.parse().map_err(name)?;
        let lane: Lane = serde_json::from_str(&self.lane).map_err(|error| unreadable(error.to_string()))?;
        Ok(NewJob {
            tenant: self.tenant_id.into(),
            id: Some(self.successor_id().map_err(name)?),
            kind: JobKind::parse(self.kind.as_str()).map_err(name)?,
            queue: QueueName::parse(self.queue.as_str()).map_err(name)?,
            lane,
            priority: Priority::Normal,
            payload: self.redrive_payload.clone().unwrap_or_else(|| self.payload.clone()),
            run_at: None,
            max_attempts: u32::try_from(self.max_attempts).unwrap_or(1).max(1),
            keep: jobs::find(&self.kind).map_or(Duration::from_hours(24), |kind| kind.keep),
            unique_key: self.unique_key.clone().map(UniqueKey),
            unique_for: UniqueFor::default(),
            idempotency_key: None,
            links: Links { redriven_from: Some(old), ..Links::default() },
            recipient: None, // the row does not keep it
        })
    }
}
