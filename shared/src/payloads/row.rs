use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
};

use crate::ids::{PayloadId, TenantId};

/// A payload in the object store.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "stored_payloads")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: PayloadId,
    pub tenant_id: TenantId,
    /// Whose payload it is: the job it was stored for, or the one that was redriven in its place.
    pub job_id: String,
    /// In bytes.
    pub size: i64,
    pub created_at: DateTime<Utc>,
    /// When the sweep looks next whether the job is still known.
    pub look_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
