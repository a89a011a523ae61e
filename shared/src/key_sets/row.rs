use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
};

use super::PublicKey;

/// An issuer's keys.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "key_sets")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub issuer: String,
    /// JSON: a list of [`PublicKey`].
    pub(super) keys: String,
    /// When the fetch that brought them began.
    pub fetched_at: Option<DateTime<Utc>>,
    /// From then on they prove nothing.
    pub expires_at: Option<DateTime<Utc>>,
    /// When somebody last asked for a fetch out of turn.
    pub asked_at: Option<DateTime<Utc>>,
    /// When the last fetch began that has ended.
    pub tried_at: Option<DateTime<Utc>>,
    /// Why that one brought nothing.
    pub failure: Option<String>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// The keys that prove something at this time.
    pub fn good(&self, now: DateTime<Utc>) -> Vec<PublicKey> {
        match self.expires_at {
            Some(end) if now < end => serde_json::from_str(&self.keys).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// When to fetch the next ones: in the middle of these, so that an issuer may be away for the other half.
    pub fn refresh_at(&self) -> Option<DateTime<Utc>> {
        let (begin, end) = (self.fetched_at?, self.expires_at?);
        Some(begin + (end - begin) / 2)
    }
}
