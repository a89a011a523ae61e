//! What Gmail's errors mean for a message.

use chrono::TimeDelta;
use postrider_queue::{CapUse, Outcome, Stop};
use postrider_shared::messages::Verdict;

use super::accepted;
use crate::gmail_mailbox::GmailMailbox;
use crate::jobs::send_email::ending::{Attempt, INSECURE_TRIES, PROVIDER_LIMIT};
use crate::jobs::send_email::{look_again, settled};
use crate::providers::gmail::GmailError;

/// A mistake of the operator's is looked at again after this.
const OPERATOR_PAUSE: TimeDelta = TimeDelta::minutes(1);
/// A wait that is longer concerns the whole mailbox: nothing of it is tried before.
const SHORT: TimeDelta = TimeDelta::minutes(1);

/// Nothing went out.
pub(super) async fn unsent(attempt: Attempt<'_>, error: GmailError) -> Outcome {
    let ctx = attempt.ctx;
    let now = ctx.clock.now();
    let refused = Verdict::Refused { reason: error.to_string() };
    match error {
        GmailError::Forbidden { .. } => pause(attempt, &error).await,
        GmailError::Insecure { .. } if ctx.job.attempt >= INSECURE_TRIES => pause(attempt, &error).await,
        GmailError::Unavailable { .. } => {
            tracing::error!(%error, "the Gmail API cannot be used: an operator has to look at its project");
            attempt.end(refused, Err(Stop::snooze(now + OPERATOR_PAUSE, &error).with_cap(CapUse::NotUsed))).await
        }
        GmailError::DailyLimit { .. } => limit(attempt, &error, now + PROVIDER_LIMIT).await,
        GmailError::RateLimited { until, .. } if until - now > SHORT => limit(attempt, &error, until).await,
        GmailError::RateLimited { until, .. } => {
            attempt.end(refused, Err(Stop::snooze(until, &error).with_cap(CapUse::NotUsed))).await
        }
        GmailError::Refused { .. } | GmailError::TooLarge { .. } => {
            attempt.end(Verdict::Failed { reason: error.to_string() }, Err(Stop::fail(error))).await
        }
        GmailError::Insecure { .. }
        | GmailError::Unauthorized { .. }
        | GmailError::NotFound { .. }
        | GmailError::Conflict { .. }
        | GmailError::Unreachable { .. }
        | GmailError::Server { .. }
        | GmailError::AnswerLost { .. }
        | GmailError::Malformed { .. } => {
            let verdict = if is_last(&attempt) { Verdict::GivenUp { reason: error.to_string() } } else { refused };
            attempt.end(verdict, Err(Stop::retry(error))).await
        }
    }
}

/// The draft may have gone out: Gmail is asked at once, and if it does not say, the next run asks.
pub(super) async fn doubt(attempt: &Attempt<'_>, mailbox: &mut GmailMailbox<'_>, error: GmailError) -> Outcome {
    tracing::warn!(%error, message.id = %attempt.message.id, "Gmail's answer to a draft that was to be sent is missing");
    // The row as it is now: this attempt may have made the draft, and only the row knows its thread.
    let message = match attempt.ctx.messages.get(attempt.tenant, attempt.message.id).await {
        Ok(message) => message,
        Err(error) => return unseen(attempt, error.into(), CapUse::Unknown).await,
    };
    if let Ok(Some(letter)) = mailbox.sent(&message).await {
        let id = letter.id.clone();
        return accepted(attempt, mailbox, &id, Some(letter)).await;
    }
    if is_last(attempt) {
        return unknown(attempt, error.to_string()).await;
    }
    // The attempt stays open. What it reserved stays charged, unless Gmail is done with the call and the draft still stands: it is sent
    // by a run that reserves anew, and by nobody else.
    let stands = match &message.draft_id {
        Some(draft) if is_done(&error) => matches!(mailbox.draft(draft).await, Ok(Some(_))),
        Some(_) | None => false,
    };
    let cap = if stands { CapUse::NotUsed } else { CapUse::Unknown };
    Err(Stop::retry(error).with_cap(cap))
}

/// Whether Gmail said that it failed, and not that something before it no longer waits: it would not send the draft after that.
fn is_done(error: &GmailError) -> bool {
    matches!(error, GmailError::Server { status, .. } if ![408, 504].contains(status))
}

/// What became of the draft could not be seen. The attempt stays open, so that the next run looks, and one that sends in another way
/// leaves it alone. `used` is what the run's unit may have been used for.
pub(super) async fn unseen(attempt: &Attempt<'_>, stop: Stop, used: CapUse) -> Outcome {
    let is_over = match stop {
        Stop::Fail { .. } => true,
        Stop::Retry { .. } => is_last(attempt),
        Stop::Snooze { .. } | Stop::Cancelled => false,
    };
    if is_over { unknown(attempt, stop.to_string()).await } else { Err(stop.with_cap(used)) }
}

/// This run ends, and nobody knows whether the message went out.
pub(super) async fn unknown(attempt: &Attempt<'_>, reason: String) -> Outcome {
    tracing::error!(message.id = %attempt.message.id, reason, "in doubt");
    metrics::counter!("postrider_messages_in_doubt_total").increment(1);
    Ok(settled(attempt.ctx, &attempt.settle(Verdict::Unknown { reason }).await?).cap(CapUse::Unknown))
}

async fn pause(attempt: Attempt<'_>, error: &GmailError) -> Outcome {
    let ctx = attempt.ctx;
    ctx.pause_account(attempt.account, error).await?;
    let stop = Stop::snooze(look_again(ctx), error).with_cap(CapUse::NotUsed);
    attempt.end(Verdict::Refused { reason: error.to_string() }, Err(stop)).await
}

/// The ledger first: the message was refused, whatever becomes of the scope.
async fn limit(attempt: Attempt<'_>, error: &GmailError, until: chrono::DateTime<chrono::Utc>) -> Outcome {
    let ctx = attempt.ctx;
    attempt.settle(Verdict::Refused { reason: error.to_string() }).await?;
    ctx.limit_account(attempt.account, until, error).await?;
    // Back into its lane, which is parked now with all the others.
    Err(Stop::snooze(ctx.clock.now(), error).with_cap(CapUse::NotUsed))
}

fn is_last(attempt: &Attempt<'_>) -> bool {
    attempt.ctx.job.attempt >= attempt.ctx.job.max_attempts
}
