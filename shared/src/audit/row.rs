use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
};
use uuid::Uuid;

use super::{AuditKind, AuditOutcome};
use crate::ids::TenantId;

/// What somebody changed or saw.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub at: DateTime<Utc>,
    /// None: about the platform.
    pub tenant_id: Option<TenantId>,
    /// `key`, `user`, `stranger`, `customer` or `system`.
    pub actor_kind: String,
    /// None of those whom nobody knows.
    pub actor_id: Option<Uuid>,
    /// As it was then: a key's name and the start of its text.
    pub actor_name: Option<String>,
    pub request_id: String,
    pub ip: Option<String>,
    /// The operation's id in the OpenAPI document.
    pub operation: String,
    pub kind: AuditKind,
    /// What it was done to, as in the path: `accounts`.
    pub resource: String,
    pub subject_id: Option<String>,
    /// JSON of what is different, as it was.
    pub before: Option<String>,
    /// JSON of what is different, as it is.
    pub after: Option<String>,
    pub outcome: AuditOutcome,
    /// How many times; more than once only what is counted together.
    pub times: i32,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
