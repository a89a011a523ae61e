//! Opening an attempt, and its point of no return.

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};

use super::{ActiveModel, Column, Draft, Entity, Message, MessageState, Slot, burial, settle, store};
use crate::{
    database::{StoreError, Transaction},
    ids::{MessageId, TenantId},
    quotes::{self, QuoteState},
    tenants,
};

/// Whether a handler may send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BeginSending {
    /// Yes, under this attempt.
    Go { attempt: u32, message: Message },
    /// No: this is what became of it before.
    AlreadySettled(Message),
    /// No: an earlier attempt may have been taken by the server. The message is `unknown` now.
    InDoubt(Message),
}

/// Whether an attempt still holds the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fence {
    /// It does: the data may start.
    Open,
    /// A later attempt overtook it, or the message is settled: send nothing.
    Lost(Box<Message>),
}

/// How an attempt hands a message over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Its data is the message: an answer that was lost leaves doubt.
    AtOnce,
    /// As a draft that can be sent once. An attempt whose answer was lost can be taken up, because whoever sends the draft again
    /// learns whether it is still there.
    Draft,
}

pub(super) async fn begin(
    tx: &Transaction,
    now: DateTime<Utc>,
    (tenant, id): (TenantId, MessageId),
    slot: Slot,
    way: Way,
) -> Result<BeginSending, StoreError> {
    tenants::must_stay(tx.connection(), tenant).await?;
    let message = store::locked(tx, tenant, id).await?;
    let may_look = way == Way::Draft && message.has_draft_in_doubt() && burial::is_awaited(tx, &message).await?;
    if message.state.is_settled() && !may_look && !burial::may_be_sent(tx, &message).await? {
        return Ok(BeginSending::AlreadySettled(message));
    }
    let held = held(&message);
    let can_look = way == Way::Draft && message.draft_id.is_some();
    if message.data_started_at.is_some() && !can_look {
        let reason = format!("attempt {} ended without an answer after its data had started", message.attempt);
        let changes = ActiveModel {
            state: Set(MessageState::Unknown),
            reason: Set(Some(reason.clone())),
            updated_at: Set(now),
            ..ActiveModel::default()
        };
        update(tx, held, changes).await?;
        if let Some(quote) = message.quote_id {
            quotes::follow_message(tx, now, (tenant, quote, message.id), QuoteState::Sending, Some(&reason)).await?;
        }
        return Ok(BeginSending::InDoubt(store::find(tx.connection(), tenant, id).await?));
    }
    if message.data_started_at.is_none()
        && let Some(last_day) = lapsed(tx, now, &message).await?
    {
        let reason = format!(
            "its quote's last day, {last_day}, was over before it could be sent: revise the quote to offer it anew"
        );
        let changes = ActiveModel {
            state: Set(MessageState::Skipped),
            reason: Set(Some(reason.clone())),
            updated_at: Set(now),
            ..ActiveModel::default()
        };
        settle::change(tx, now, &message, changes, (QuoteState::Failed, Some(&reason))).await?;
        return Ok(BeginSending::AlreadySettled(store::find(tx.connection(), tenant, id).await?));
    }
    let mut changes = ActiveModel {
        state: Set(MessageState::Sending),
        attempt: Set(message.attempt + 1),
        scope: Set(slot.scope.map(|scope| scope.to_string())),
        window: Set(slot.window),
        attempt_started_at: Set(Some(now)),
        updated_at: Set(now),
        ..ActiveModel::default()
    };
    if way == Way::AtOnce {
        // A draft that nobody began to send must not be sent beside it.
        changes.draft_id = Set(None);
    }
    update(tx, held, changes).await?;
    if let Some(quote) = message.quote_id {
        quotes::follow_message(tx, now, (tenant, quote, message.id), QuoteState::Sending, None).await?;
    }
    let message = store::find(tx.connection(), tenant, id).await?;
    Ok(BeginSending::Go { attempt: message.attempt(), message })
}

/// The last day of the quote that it carries, if that is over: nobody is offered what does not hold any more.
async fn lapsed(tx: &Transaction, now: DateTime<Utc>, message: &Message) -> Result<Option<NaiveDate>, StoreError> {
    match message.quote_id {
        Some(quote) => quotes::lapsed(tx, now, (message.tenant_id, quote, message.id)).await,
        None => Ok(None),
    }
}

/// The draft is the message's from here on, unless it has one or the attempt was overtaken.
pub(super) async fn store_draft(
    tx: &Transaction,
    now: DateTime<Utc>,
    (tenant, id): (TenantId, MessageId),
    attempt: u32,
    draft: Draft,
) -> Result<Fence, StoreError> {
    let message = store::locked(tx, tenant, id).await?;
    if !holds(&message, attempt) || message.draft_id.is_some() {
        return Ok(Fence::Lost(Box::new(message)));
    }
    let changes = ActiveModel {
        draft_id: Set(Some(draft.id)),
        provider_thread_id: Set(Some(draft.thread_id)),
        updated_at: Set(now),
        ..ActiveModel::default()
    };
    update(tx, held(&message), changes).await?;
    Ok(Fence::Open)
}

pub(super) async fn data_starting(
    tx: &Transaction,
    now: DateTime<Utc>,
    (tenant, id): (TenantId, MessageId),
    attempt: u32,
) -> Result<Fence, StoreError> {
    tenants::must_stay(tx.connection(), tenant).await?;
    let message = store::locked(tx, tenant, id).await?;
    if !holds(&message, attempt) {
        return Ok(Fence::Lost(Box::new(message)));
    }
    let changes = ActiveModel { data_started_at: Set(Some(now)), updated_at: Set(now), ..ActiveModel::default() };
    update(tx, held(&message), changes).await?;
    Ok(Fence::Open)
}

/// Whether the attempt is open and the latest.
pub(super) fn holds(message: &Message, attempt: u32) -> bool {
    message.state == MessageState::Sending && message.attempt() == attempt && message.attempt_started_at.is_some()
}

/// The row as it was read: the compare part of compare-and-set.
pub(super) fn held(message: &Message) -> sea_orm::Condition {
    store::own(message.tenant_id, message.id)
        .add(Column::State.eq(message.state))
        .add(Column::Attempt.eq(message.attempt))
}

pub(super) async fn update(tx: &Transaction, held: sea_orm::Condition, changes: ActiveModel) -> Result<(), StoreError> {
    let done = Entity::update_many().set(changes).filter(held).exec(tx.connection()).await?;
    if done.rows_affected != 1 {
        return Err(StoreError::conflict("message", "was changed at the same moment"));
    }
    Ok(())
}
