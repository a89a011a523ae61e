use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
};

use crate::ids::WatcherId;

/// A worker process that watches mailboxes.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mailbox_watchers")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: WatcherId,
    /// How many mailboxes it can watch.
    pub capacity: i32,
    /// Raised again and again while it lives.
    pub beat: i64,
    pub joined_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
