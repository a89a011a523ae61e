use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
};
use uuid::Uuid;

/// A request that may be repeated.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotent_requests")]
pub struct Model {
    /// Whose key it is: two clients may use the same one.
    #[sea_orm(primary_key, auto_increment = false)]
    pub scope: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// What was asked for, condensed.
    pub fingerprint: String,
    /// The attempt that holds the row.
    pub holder: Uuid,
    /// `None` while the work is under way.
    pub status: Option<i32>,
    /// JSON of the headers to repeat.
    pub headers: Option<String>,
    pub body: Option<Vec<u8>>,
    pub created_at: DateTime<Utc>,
    /// What the ids of things it makes derive from; it outlives a change of the holder.
    pub seed: Option<Uuid>,
    /// Until then nobody else takes it over; the holder moves it on while it works.
    pub leased_until: Option<DateTime<Utc>>,
    /// Whether a change that belongs to it was committed: the same transaction says so.
    pub committed: bool,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
