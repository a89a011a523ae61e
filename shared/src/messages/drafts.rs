//! Messages of providers that keep drafts.

use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{ActiveModel, Column, Entity, Message, MessageState, attempt, store};
use crate::{
    database::{Database, StoreError, Transaction},
    ids::{AccountId, MessageId, TenantId},
    mail::thread,
};

/// A draft in the sender's mailbox, in the provider's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub id: String,
    pub thread_id: String,
}

pub(super) async fn sent_as(
    tx: &Transaction,
    now: DateTime<Utc>,
    (tenant, id): (TenantId, MessageId),
    message_id: &str,
) -> Result<(), StoreError> {
    let message = store::locked(tx, tenant, id).await?;
    let message_id = message_id.trim().trim_start_matches('<').trim_end_matches('>').to_owned();
    if let Some(thread) = message.thread_id {
        thread::join(tx, (tenant, message.account_id, thread), std::slice::from_ref(&message_id)).await?;
    }
    let changes =
        ActiveModel { sent_message_id: Set(Some(message_id)), updated_at: Set(now), ..ActiveModel::default() };
    attempt::update(tx, attempt::held(&message), changes).await
}

pub(super) async fn loose_ends(
    database: &Database,
    (tenant, account): (TenantId, AccountId),
    since: DateTime<Utc>,
    limit: u64,
) -> Result<Vec<Message>, StoreError> {
    let doubtful =
        Condition::all().add(Column::State.eq(MessageState::Unknown)).add(Column::AttemptStartedAt.is_not_null());
    let unnamed = Condition::all().add(Column::State.eq(MessageState::Accepted)).add(Column::SentMessageId.is_null());
    with_draft(database, (tenant, account), since, Condition::any().add(doubtful).add(unnamed), limit).await
}

pub(super) async fn unwanted(
    database: &Database,
    (tenant, account): (TenantId, AccountId),
    since: DateTime<Utc>,
    limit: u64,
) -> Result<Vec<Message>, StoreError> {
    let withdrawn =
        Condition::all().add(Column::State.eq(MessageState::Unknown)).add(Column::AttemptStartedAt.is_null());
    // One that was buried may be redriven.
    let refused =
        Condition::all().add(Column::State.eq(MessageState::Failed)).add(Column::AttemptStartedAt.is_not_null());
    let over = Condition::any().add(withdrawn).add(Column::State.eq(MessageState::Skipped)).add(refused);
    with_draft(database, (tenant, account), since, over, limit).await
}

/// Those of an account's messages that have a draft, longest unchanged first.
async fn with_draft(
    database: &Database,
    (tenant, account): (TenantId, AccountId),
    since: DateTime<Utc>,
    those: Condition,
    limit: u64,
) -> Result<Vec<Message>, StoreError> {
    let select = Entity::find()
        .filter(Column::TenantId.eq(tenant))
        .filter(Column::AccountId.eq(account))
        .filter(Column::DraftId.is_not_null())
        .filter(Column::UpdatedAt.gte(since))
        .filter(those);
    Ok(select.order_by_asc(Column::UpdatedAt).limit(limit).all(database.reader()).await?)
}

pub(super) async fn drafted_again(
    database: &Database,
    (tenant, account): (TenantId, AccountId),
    since: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let again = Condition::any().add(Column::Attempt.gt(1)).add(Column::State.eq(MessageState::Failed));
    let select = Entity::find()
        .filter(Column::TenantId.eq(tenant))
        .filter(Column::AccountId.eq(account))
        .filter(again)
        .filter(Column::UpdatedAt.gte(since));
    Ok(select.one(database.reader()).await?.is_some())
}
