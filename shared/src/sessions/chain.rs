//! The tokens of sessions, by their hashes.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
};

use crate::ids::SessionId;

/// One token that a session was or is carried by.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "session_tokens")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub hash: String,
    pub session_id: SessionId,
    pub created_at: DateTime<Utc>,
    /// When a cookie was first seen after it was given out.
    pub seen_at: Option<DateTime<Utc>>,
    /// Since when there is a successor.
    pub replaced_at: Option<DateTime<Utc>>,
    pub successor_hash: Option<String>,
    /// From this and the token itself its successor follows; forgotten with the next refresh.
    pub successor_seed: Option<String>,
    /// The key of the request that replaced it, hashed.
    pub request_hash: Option<String>,
}

impl Model {
    pub(super) fn new(hash: String, session: SessionId, now: DateTime<Utc>) -> Self {
        Self {
            hash,
            session_id: session,
            created_at: now,
            seen_at: None,
            replaced_at: None,
            successor_hash: None,
            successor_seed: None,
            request_hash: None,
        }
    }
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
