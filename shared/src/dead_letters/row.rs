use chrono::{DateTime, Utc};
use postrider_queue::{JobId, NewJob};
use sea_orm::entity::prelude::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
};

use super::{
    DeadLetterState,
    origin::{self, Origin},
};
use crate::{
    database::StoreError,
    ids::{DeadLetterId, TenantId},
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
    /// The lane as JSON.
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
    /// The attempts that failed, as JSON, oldest first: from a table of their own, unless the row is of an earlier version.
    pub history: String,
    /// Which of the tenant's jobs go first.
    pub priority: String,
    /// Whom it was for, as limits know it.
    pub recipient: Option<String>,
    /// How long it held its unique key, as JSON; by default if absent.
    pub unique_for: Option<String>,
    /// Its links to other jobs as JSON, if it had any.
    pub links: Option<String>,
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
            (None, DeadLetterState::Redriven) => {
                origin::successor(&self.job_id, self.death_number).map(Some).map_err(unreadable)
            }
            (None, DeadLetterState::Dead | DeadLetterState::Redriving | DeadLetterState::Discarded) => Ok(None),
        }
    }

    /// The job that takes the place of this one: the same for every call, so that it is enqueued once.
    pub fn redrive_job(&self) -> Result<NewJob, StoreError> {
        Origin::from(self.clone()).job()
    }
}
