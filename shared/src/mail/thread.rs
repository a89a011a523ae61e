//! Threads: which mails, in and out, belong together.
//!
//! A mail belongs to the thread of a message it names in In-Reply-To or References. Every id it names is then known to be of that
//! thread, so that a reply which arrives before what it replies to is joined later.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter,
    entity::prelude::{
        ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EnumIter, PrimaryKeyTrait,
    },
    sea_query::OnConflict,
};
use sha2::{Digest, Sha256};

use crate::{
    database::{StoreError, Transaction},
    ids::{AccountId, TenantId, ThreadId},
};

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "threads")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ThreadId,
    pub tenant_id: TenantId,
    pub account_id: AccountId,
    /// Of its first mail.
    pub subject: String,
    pub created_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Which thread a Message-ID belongs to.
mod message {
    use sea_orm::entity::prelude::{
        ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter,
        PrimaryKeyTrait,
    };

    use crate::ids::{AccountId, TenantId, ThreadId};

    #[expect(clippy::struct_field_names, reason = "they are the table's columns")]
    #[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "thread_messages")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: AccountId,
        #[sea_orm(primary_key, auto_increment = false)]
        pub rfc_message_id: String,
        pub tenant_id: TenantId,
        pub thread_id: ThreadId,
    }

    #[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Finds the thread of the first of `related` that is known; the nearest relative comes first.
pub(super) async fn find(
    tx: &Transaction,
    account: AccountId,
    related: &[String],
) -> Result<Option<ThreadId>, StoreError> {
    let keys: Vec<String> = related.iter().map(|id| key(id)).collect();
    let known = message::Entity::find()
        .filter(message::Column::AccountId.eq(account))
        .filter(message::Column::RfcMessageId.is_in(keys.iter().map(String::as_str)))
        .all(tx.connection())
        .await?;
    let nearest = keys.iter().find_map(|key| known.iter().find(|message| &message.rfc_message_id == key));
    Ok(nearest.map(|message| message.thread_id))
}

pub(super) async fn create(tx: &Transaction, thread: Model) -> Result<(), StoreError> {
    Entity::insert(thread.into_active_model()).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// Notes that these Message-IDs belong to the thread; ids that belong to one already stay there.
pub(crate) async fn join(
    tx: &Transaction,
    (tenant_id, account_id, thread_id): (TenantId, AccountId, ThreadId),
    ids: &[String],
) -> Result<(), StoreError> {
    // In one order, so that two mails that name the same ids do not wait for each other.
    let ids: BTreeSet<String> = ids.iter().map(|id| key(id)).collect();
    for rfc_message_id in ids {
        let row = message::Model { account_id, rfc_message_id, tenant_id, thread_id };
        let key = [message::Column::AccountId, message::Column::RfcMessageId];
        message::Entity::insert(row.into_active_model())
            .on_conflict(OnConflict::columns(key).do_nothing().to_owned())
            .exec_without_returning(tx.connection())
            .await?;
    }
    Ok(())
}

/// Ids are compared without angle brackets; one too long for an index is replaced by its hash.
fn key(id: &str) -> String {
    let id = id.trim().trim_start_matches('<').trim_end_matches('>');
    if id.len() > 500 {
        return format!("sha256:{}", hex::encode(Sha256::digest(id.as_bytes())));
    }
    id.to_owned()
}
