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
        Verdict::Accepted { .. } => {
            is_open || matches!(message.state, MessageState::Unknown | MessageState::UnknownFinal)
        }
        Verdict::Failed { .. } => is_open || message.state == MessageState::Unknown,
        Verdict::Refused { .. } | Verdict::GivenUp { .. } | Verdict::Unknown { .. } => is_open,
    };
    if !is_ours || !allowed {
        return Ok(Settled::Before(message));
    }
    let (state, quote_state, reason) = match &verdict {
        Verdict::Accepted { .. } => (MessageState::Accepted, QuoteState::Sent, None),
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
        Verdict::Failed { .. } | Verdict::Unknown { .. } => {}
    }
    attempt::update(tx, attempt::held(&message), changes).await?;
    if let Some(quote) = message.quote_id {
        quotes::follow_message(tx, now, (tenant, quote, message.id), quote_state, reason).await?;
    }
    Ok(Settled::Now(store::find(tx.connection(), tenant, id).await?))
}

/// A message that is not to be sent any more, unless an attempt is open: then the attempt decides.
pub(super) async fn skip(
    tx: &Transaction,
    now: DateTime<Utc>,
    (tenant, id): (TenantId, MessageId),
    reason: &str,
) -> Result<Settled<Message>, StoreError> {
    let message = store::locked(tx, tenant, id).await?;
    let waits = match message.state {
        MessageState::Planned => true,
        MessageState::Sending => message.attempt_started_at.is_none(),
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
    attempt::update(tx, attempt::held(&message), changes).await?;
    if let Some(quote) = message.quote_id {
        quotes::follow_message(tx, now, (tenant, quote, message.id), QuoteState::Failed, Some(reason)).await?;
    }
    Ok(Settled::Now(store::find(tx.connection(), tenant, id).await?))
}
