//! Messages of providers that keep drafts.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, sea_query::Func,
};

use super::{ActiveModel, Column, Entity, Message, MessageState, attempt, store};
use crate::{
    database::{AllTenants, Database, StoreError, Transaction},
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

/// Nobody finds out what became of a message later than this.
pub const DOUBT_ENDS: TimeDelta = TimeDelta::days(7);
/// A draft that nobody stored is looked for so long after the attempt that may have made it.
const LOOKED_FOR: TimeDelta = TimeDelta::days(1);

pub(super) async fn loose_ends(
    database: &Database,
    now: DateTime<Utc>,
    place: (TenantId, AccountId),
    limit: u64,
) -> Result<Vec<Message>, StoreError> {
    with_draft(database, now, place, is_loose(), limit).await
}

pub(super) async fn unwanted(
    database: &Database,
    now: DateTime<Utc>,
    place: (TenantId, AccountId),
    limit: u64,
) -> Result<Vec<Message>, StoreError> {
    with_draft(database, now, place, is_over(), limit).await
}

fn is_loose() -> Condition {
    let doubtful =
        Condition::all().add(Column::State.eq(MessageState::Unknown)).add(Column::AttemptStartedAt.is_not_null());
    let unnamed = Condition::all().add(Column::State.eq(MessageState::Accepted)).add(Column::SentMessageId.is_null());
    Condition::any().add(doubtful).add(unnamed)
}

fn is_over() -> Condition {
    let withdrawn =
        Condition::all().add(Column::State.eq(MessageState::Unknown)).add(Column::AttemptStartedAt.is_null());
    // One that was buried may be redriven.
    let refused =
        Condition::all().add(Column::State.eq(MessageState::Failed)).add(Column::AttemptStartedAt.is_not_null());
    Condition::any().add(withdrawn).add(Column::State.eq(MessageState::Skipped)).add(refused)
}

fn is_drafted_again(now: DateTime<Utc>) -> Condition {
    let again = Condition::any().add(Column::Attempt.gt(1)).add(Column::State.eq(MessageState::Failed));
    Condition::all().add(again).add(Column::UpdatedAt.gte(now - LOOKED_FOR))
}

/// Some of those of an account's messages that have a draft, drawn by lot: whoever can do nothing about one does not keep it from
/// looking at the others the next time, and nobody has to remember where he was.
async fn with_draft(
    database: &Database,
    now: DateTime<Utc>,
    (tenant, account): (TenantId, AccountId),
    those: Condition,
    limit: u64,
) -> Result<Vec<Message>, StoreError> {
    let select = Entity::find()
        .filter(Column::TenantId.eq(tenant))
        .filter(Column::AccountId.eq(account))
        .filter(Column::DraftId.is_not_null())
        .filter(Column::UpdatedAt.gte(now - DOUBT_ENDS))
        .filter(those);
    Ok(select.order_by(Func::random(), Order::Asc).limit(limit).all(database.reader()).await?)
}

pub(super) async fn drafted_again(
    database: &Database,
    now: DateTime<Utc>,
    (tenant, account): (TenantId, AccountId),
) -> Result<bool, StoreError> {
    let select = Entity::find()
        .filter(Column::TenantId.eq(tenant))
        .filter(Column::AccountId.eq(account))
        .filter(is_drafted_again(now));
    Ok(select.one(database.reader()).await?.is_some())
}

pub(super) async fn left_drafts(
    database: &Database,
    _: AllTenants,
    now: DateTime<Utc>,
    accounts: &[AccountId],
) -> Result<HashSet<AccountId>, StoreError> {
    if accounts.is_empty() {
        return Ok(HashSet::new());
    }
    let stored = Condition::all()
        .add(Column::DraftId.is_not_null())
        .add(Column::UpdatedAt.gte(now - DOUBT_ENDS))
        .add(Condition::any().add(is_loose()).add(is_over()));
    let select = Entity::find()
        .select_only()
        .column(Column::AccountId)
        .distinct()
        .filter(Column::AccountId.is_in(accounts.iter().copied()))
        .filter(Condition::any().add(stored).add(is_drafted_again(now)));
    let found: Vec<AccountId> = select.into_tuple().all(database.reader()).await?;
    Ok(found.into_iter().collect())
}
