use chrono::{DateTime, Utc};
use postrider_queue::NewJob;
use sea_orm::entity::prelude::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
};

use super::store::Place;
use crate::ids::{OutboxId, TenantId};

/// A job on its way to the queue.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "outbox")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: OutboxId,
    pub tenant_id: TenantId,
    /// The [`NewJob`] as JSON.
    pub job: String,
    pub created_at: DateTime<Utc>,
    /// When it was enqueued, or given up.
    pub relayed_at: Option<DateTime<Utc>>,
    /// Why the queue will never take it.
    pub refusal: Option<String>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    pub(super) fn place(&self) -> Place {
        Place { at: self.created_at, id: self.id }
    }

    /// The job to be enqueued.
    pub fn new_job(&self) -> Result<NewJob, serde_json::Error> {
        serde_json::from_str(&self.job)
    }
}
