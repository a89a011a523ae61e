//! Messages whose job failed for good.
//!
//! Such a message is `failed`, and no attempt is open: that tells it from one that a server refused for good. A redrive of its job
//! takes it back to `sending`; a draft that it has is kept, because only a draft that is sent again is certain to go out once. When
//! the dead letter is discarded, it becomes like one that was refused.

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;

use super::{ActiveModel, Message, MessageState, attempt, settle, store};
use crate::{
    database::{StoreError, Transaction},
    ids::{MessageId, TenantId},
    quotes::{self, QuoteState},
};

/// What its job's death leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenAttempt {
    /// Is over: nobody runs the job, and [`data_starting`](super::Messages::data_starting) refuses whoever still believes so.
    Over,
    /// May be another job's.
    Spared,
}

/// The message's job failed for good. A message that may have been handed over stays as it is: doubt is resolved in its own time.
/// One that is not there or is settled does not change.
pub(crate) async fn bury(
    tx: &Transaction,
    now: DateTime<Utc>,
    (tenant, id): (TenantId, MessageId),
    open: OpenAttempt,
    reason: &str,
) -> Result<(), StoreError> {
    let Some(message) = found(tx, tenant, id).await? else { return Ok(()) };
    let waits = matches!(message.state, MessageState::Planned | MessageState::Sending);
    let spared = open == OpenAttempt::Spared && message.attempt_started_at.is_some();
    if !waits || spared || message.data_started_at.is_some() {
        return Ok(());
    }
    let changes = ActiveModel {
        state: Set(MessageState::Failed),
        reason: Set(Some(reason.to_owned())),
        attempt_started_at: Set(None),
        updated_at: Set(now),
        ..ActiveModel::default()
    };
    settle::change(tx, now, &message, changes, (QuoteState::Failed, Some(reason))).await
}

/// The message's job is enqueued again. Changes nothing if the message [may not be sent](may_be_sent) any more.
pub(crate) async fn revive(
    tx: &Transaction,
    now: DateTime<Utc>,
    (tenant, id): (TenantId, MessageId),
) -> Result<(), StoreError> {
    let Some(message) = found(tx, tenant, id).await? else { return Ok(()) };
    if !may_be_sent(tx, &message).await? {
        return Ok(());
    }
    let changes = ActiveModel {
        state: Set(MessageState::Sending),
        reason: Set(None),
        updated_at: Set(now),
        ..ActiveModel::default()
    };
    settle::change(tx, now, &message, changes, (QuoteState::Sending, None)).await
}

/// Nobody wants the message's job any more: no redrive takes it back.
pub(crate) async fn abandon(
    tx: &Transaction,
    now: DateTime<Utc>,
    (tenant, id): (TenantId, MessageId),
) -> Result<(), StoreError> {
    let Some(message) = found(tx, tenant, id).await? else { return Ok(()) };
    if !message.was_buried() {
        return Ok(());
    }
    let changes = ActiveModel { attempt_started_at: Set(Some(now)), updated_at: Set(now), ..ActiveModel::default() };
    attempt::update(tx, attempt::held(&message), changes).await
}

/// Whether a message that [was buried](Message::was_buried) may still be sent: not if its quote was revised or decided meanwhile.
pub(super) async fn may_be_sent(tx: &Transaction, message: &Message) -> Result<bool, StoreError> {
    Ok(message.was_buried() && is_awaited(tx, message).await?)
}

/// Whether nobody revised or decided the quote that it carries, if it carries one.
pub(super) async fn is_awaited(tx: &Transaction, message: &Message) -> Result<bool, StoreError> {
    match message.quote_id {
        Some(quote) => quotes::awaits(tx, (message.tenant_id, quote, message.id)).await,
        None => Ok(true),
    }
}

async fn found(tx: &Transaction, tenant: TenantId, id: MessageId) -> Result<Option<Message>, StoreError> {
    match store::locked(tx, tenant, id).await {
        Ok(message) => Ok(Some(message)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
