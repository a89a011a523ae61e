use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
};
use uuid::Uuid;

use crate::ids::{AccountId, TenantId};

/// What the owner of a mailbox granted, and who renews its access token at the moment.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "google_grants")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: AccountId,
    pub tenant_id: TenantId,
    /// Empty when the grant is gone.
    pub(super) refresh_token_sealed: String,
    /// Empty when there is none.
    pub(super) access_token_sealed: String,
    pub access_expires_at: Option<DateTime<Utc>>,
    /// Raised by every change of the tokens: a process that acted on older ones finds out.
    pub version: i64,
    /// Who renews the access token.
    pub(super) holder: Option<Uuid>,
    pub held_from: Option<DateTime<Utc>>,
    /// Before this, nobody else asks Google: somebody does, or Google asked for patience.
    pub held_until: Option<DateTime<Utc>>,
    /// Renewals that failed in a row.
    pub failures: i32,
    /// Why the last renewal failed, in words.
    pub problem: Option<String>,
    pub granted_at: DateTime<Utc>,
    pub refreshed_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Whether there is still something to renew the access token with.
    pub fn is_standing(&self) -> bool {
        !self.refresh_token_sealed.is_empty()
    }

    /// Whether some process is asking Google right now, as opposed to waiting because Google asked for patience.
    pub fn is_held(&self) -> bool {
        self.holder.is_some()
    }
}
