use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
};

use crate::{
    ids::{AccountId, ConsentId, TenantId},
    words::words,
};

words! {
    /// How far a consent is.
    "consent state"
    enum ConsentState {
        /// The owner was sent to Google.
        Open = "open",
        /// The owner consented; the code waits to be exchanged.
        Answered = "answered",
        /// The code was exchanged; whose mailbox it is has to be seen.
        Exchanged = "exchanged",
        /// The account has the grant.
        Completed = "completed",
        /// The owner refused.
        Denied = "denied",
        /// The consent could not be used.
        Failed = "failed",
    }
}

/// One time that an account's owner is asked for consent.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "google_consents")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ConsentId,
    pub tenant_id: TenantId,
    pub account_id: AccountId,
    /// The PKCE verifier; empty when it is not needed any more.
    pub(super) verifier_sealed: String,
    /// The code, and once it is exchanged the refresh token; empty before and after.
    pub(super) code_sealed: String,
    pub state: ConsentState,
    /// Why it was denied or failed.
    pub reason: Option<String>,
    pub expires_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
