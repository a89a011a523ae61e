//! How an attempt ended.

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;

use super::{ActiveModel, MessageState, attempt, store};
use crate::{
    database::{StoreError, Transaction},
    ids::{MessageId, TenantId},
    mail::Settled,
    messages::Message,
    quotes::{self, QuoteState},
};

/// Why a message is withdrawn.
pub(super) const JOB_CANCELLED: &str = "its job was cancelled";

/// What is known about an attempt after it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The server took it.
    Accepted {
        at: DateTime<Utc>,
        /// What the server called it.
        provider_id: Option<String>,
    },
    /// The server did not take it and said "not now", or was never reached: another attempt may send.
    Refused { reason: String },
    /// The same, and its job ends with this: another attempt may send only if a person redrives the job.
    GivenUp { reason: String },
    /// It can never be sent.
    Failed { reason: String },
    /// The answer was lost after the data had started.
    Unknown { reason: String },
}

pub(super) async fn settle(
    tx: &Transaction,
    now: DateTime<Utc>,
    (tenant, id): (TenantId, MessageId),
    number: u32,
    verdict: Verdict,
) -> Result<Settled<Message>, StoreError> {
    let message = store::locked(tx, tenant, id).await?;
    let is_open = message.state == MessageState::Sending && message.attempt_started_at.is_some();
    let is_ours = message.attempt() == number;
    let allowed = match &verdict {
        // Late news about a doubt is welcome, also after it was given up.
        Verdict::Accepted { .. } | Verdict::Failed { .. } => {
            is_open || matches!(message.state, MessageState::Unknown | MessageState::UnknownFinal)
        }
        Verdict::Refused { .. } | Verdict::GivenUp { .. } | Verdict::Unknown { .. } => is_open,
    };
    if !is_ours || !allowed {
        return Ok(Settled::Before(message));
    }
    let (state, quote_state, reason) = match &verdict {
        Verdict::Accepted { .. } => (MessageState::Accepted, QuoteState::Sent, None),
        Verdict::Refused { .. } | Verdict::GivenUp { .. } if message.is_wanted_no_more() => {
            (MessageState::Skipped, QuoteState::Failed, message.reason.as_deref())
        }
        Verdict::Refused { reason } => (MessageState::Sending, QuoteState::Sending, Some(reason.as_str())),
        Verdict::Failed { reason } | Verdict::GivenUp { reason } => {
            (MessageState::Failed, QuoteState::Failed, Some(reason.as_str()))
        }
        Verdict::Unknown { reason } => (MessageState::Unknown, QuoteState::Sending, Some(reason.as_str())),
    };
    let mut changes = ActiveModel {
        state: Set(state),
        reason: Set(reason.map(str::to_owned)),
        updated_at: Set(now),
        ..ActiveModel::default()
    };
    match &verdict {
        Verdict::Accepted { at, provider_id } => {
            changes.accepted_at = Set(Some(*at));
            changes.provider_id = Set(provider_id.clone());
        }
        Verdict::Refused { .. } | Verdict::GivenUp { .. } => {
            changes.attempt_started_at = Set(None);
            changes.data_started_at = Set(None);
        }
        // One that was withdrawn must not look like one that a redrive sends.
        Verdict::Failed { .. } => changes.attempt_started_at = Set(message.attempt_started_at.or(Some(now))),
        Verdict::Unknown { .. } => {}
    }
    change(tx, now, &message, changes, (quote_state, reason)).await?;
    Ok(Settled::Now(store::find(tx.connection(), tenant, id).await?))
}

/// A message that is not to be sent any more, unless it may have been handed over. An attempt that is open is refused when its data is
/// to start.
pub(super) async fn skip(
    tx: &Transaction,
    now: DateTime<Utc>,
    (tenant, id): (TenantId, MessageId),
    reason: &str,
) -> Result<Settled<Message>, StoreError> {
    let message = store::locked(tx, tenant, id).await?;
    let waits = match message.state {
        MessageState::Planned => true,
        MessageState::Sending => message.data_started_at.is_none(),
        MessageState::Accepted
        | MessageState::Failed
        | MessageState::Skipped
        | MessageState::Unknown
        | MessageState::UnknownFinal => false,
    };
    if !waits {
        return Ok(Settled::Before(message));
    }
    let changes = ActiveModel {
        state: Set(MessageState::Skipped),
        reason: Set(Some(reason.to_owned())),
        updated_at: Set(now),
        ..ActiveModel::default()
    };
    change(tx, now, &message, changes, (QuoteState::Failed, Some(reason))).await?;
    Ok(Settled::Now(store::find(tx.connection(), tenant, id).await?))
}

/// The same at somebody's wish, which holds also where a draft may have been sent, or data is under way: nobody sends it after this.
pub(super) async fn withdraw(
    tx: &Transaction,
    now: DateTime<Utc>,
    (tenant, id): (TenantId, MessageId),
) -> Result<Settled<Message>, StoreError> {
    let reason = JOB_CANCELLED;
    let message = store::locked(tx, tenant, id).await?;
    if message.state == MessageState::Sending && message.data_started_at.is_some() && message.draft_id.is_none() {
        // The server has the word. If it says "not now", nobody tries again.
        let changes = ActiveModel { reason: Set(Some(reason.to_owned())), ..ActiveModel::default() };
        attempt::update(tx, attempt::held(&message), changes).await?;
        return Ok(Settled::Before(message));
    }
    let is_doubtful = match message.state {
        MessageState::Sending | MessageState::Unknown => {
            message.draft_id.is_some() && message.data_started_at.is_some()
        }
        MessageState::Planned
        | MessageState::Accepted
        | MessageState::Failed
        | MessageState::Skipped
        | MessageState::UnknownFinal => false,
    };
    if !is_doubtful || message.was_withdrawn() {
        return skip(tx, now, (tenant, id), reason).await;
    }
    let changes = ActiveModel {
        state: Set(MessageState::Unknown),
        reason: Set(Some(reason.to_owned())),
        attempt_started_at: Set(None),
        updated_at: Set(now),
        ..ActiveModel::default()
    };
    change(tx, now, &message, changes, (QuoteState::Sending, Some(reason))).await?;
    Ok(Settled::Now(store::find(tx.connection(), tenant, id).await?))
}

/// The draft of a message that is not to be sent was deleted. One that was withdrawn did not go out.
pub(super) async fn draft_deleted(
    tx: &Transaction,
    now: DateTime<Utc>,
    (tenant, id): (TenantId, MessageId),
    draft: &str,
) -> Result<(), StoreError> {
    let message = store::locked(tx, tenant, id).await?;
    let was_withdrawn = message.was_withdrawn();
    let is_over = matches!(message.state, MessageState::Skipped | MessageState::Failed) && !message.was_buried();
    if message.draft_id.as_deref() != Some(draft) || !(was_withdrawn || is_over) {
        return Ok(());
    }
    let mut changes = ActiveModel { draft_id: Set(None), ..ActiveModel::default() };
    if !was_withdrawn {
        return attempt::update(tx, attempt::held(&message), changes).await;
    }
    (changes.state, changes.updated_at) = (Set(MessageState::Skipped), Set(now));
    change(tx, now, &message, changes, (QuoteState::Failed, message.reason.as_deref())).await
}

/// The same for a message that is to go out in another way, under an attempt: nobody sends its draft any more, and nobody did.
pub(super) async fn draft_taken_back(
    tx: &Transaction,
    now: DateTime<Utc>,
    (tenant, id): (TenantId, MessageId),
    number: u32,
    draft: &str,
) -> Result<(), StoreError> {
    let message = store::locked(tx, tenant, id).await?;
    if !attempt::holds(&message, number) {
        return draft_deleted(tx, now, (tenant, id), draft).await;
    }
    if message.draft_id.as_deref() != Some(draft) {
        return Ok(());
    }
    let changes =
        ActiveModel { draft_id: Set(None), data_started_at: Set(None), updated_at: Set(now), ..ActiveModel::default() };
    attempt::update(tx, attempt::held(&message), changes).await
}

/// Changes a message, and its quote with it.
pub(super) async fn change(
    tx: &Transaction,
    now: DateTime<Utc>,
    message: &Message,
    changes: ActiveModel,
    (quote_state, reason): (QuoteState, Option<&str>),
) -> Result<(), StoreError> {
    attempt::update(tx, attempt::held(message), changes).await?;
    if let Some(quote) = message.quote_id {
        quotes::follow_message(tx, now, (message.tenant_id, quote, message.id), quote_state, reason).await?;
    }
    Ok(())
}
