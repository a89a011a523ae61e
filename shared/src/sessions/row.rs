use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
};

use crate::{
    ids::{SessionId, UserId},
    words::words,
};

words! {
    /// How a session is carried.
    "session carrier"
    enum Carrier {
        /// An access token in the `Authorization` header, and a refresh token that gets the next one.
        Tokens = "tokens",
        /// A cookie.
        Cookie = "cookie",
    }
}

words! {
    /// What ended a session before its time.
    "session end"
    enum EndedBy {
        /// Its owner signed out.
        SignedOut = "signed_out",
        /// A token was used twice: somebody else had it.
        Reuse = "reuse",
        /// The password was changed or reset.
        PasswordChanged = "password_changed",
        /// The address was changed.
        EmailChanged = "email_changed",
    }
}

/// A person's being signed in with one browser or client.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: SessionId,
    pub user_id: UserId,
    pub carrier: Carrier,
    /// What the client called itself when it signed in.
    pub client: String,
    pub created_at: DateTime<Utc>,
    /// When its token was last replaced.
    pub last_used_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    pub ended_by: Option<EndedBy>,
}

impl Model {
    /// Whether it opens anything at this time.
    pub fn is_live(&self, now: DateTime<Utc>) -> bool {
        self.ended_at.is_none() && now < self.expires_at
    }
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
