//! Sends one planned message of the send ledger, at most once. The ledger's row decides whether anything may be sent;
//! the queue only says when.

mod ending;
mod submission;

use std::time::Duration;

use chrono::TimeDelta;
use postrider_queue::{CapUse, Done, Outcome, Stop, calendar_days};
use postrider_shared::accounts::Account;
use postrider_shared::ids::TenantId;
use postrider_shared::jobs::SendEmail;
use postrider_shared::messages::{BeginSending, Fence, Message, MessageState, Slot, Verdict};
use serde_json::json;

use self::ending::Attempt;
use crate::context::Context;
use crate::providers::smtp::{self, SmtpError};
use crate::registry::Handler;

/// How long the lease must still hold when the data starts: a session is renewed several times within it.
const LEASE_MARGIN: Duration = Duration::from_secs(1);
/// How long a message of a paused account waits before it looks again; its lane is parked meanwhile.
const PAUSED: TimeDelta = TimeDelta::minutes(5);

impl Handler for SendEmail {
    async fn run(self, ctx: &Context) -> Outcome {
        let tenant = ctx.tenant()?;
        let planned = ctx.messages.get(tenant, self.message_id).await?;
        if planned.state.is_settled() {
            return Ok(settled(&planned));
        }
        let Some(account) = ctx.accounts.if_connected(tenant, planned.account_id).await? else {
            ctx.messages.skip(tenant, planned.id, "its mailbox was disconnected").await?;
            return Ok(settled(&ctx.messages.get(tenant, planned.id).await?));
        };
        if !account.is_active() {
            return Err(Stop::snooze(ctx.clock.now() + PAUSED, "the mailbox is paused"));
        }
        match ctx.messages.begin_sending(tenant, planned.id, slot(ctx, &account)).await? {
            BeginSending::Go { attempt, message } => Box::pin(send(ctx, tenant, &account, message, attempt)).await,
            BeginSending::AlreadySettled(message) => Ok(settled(&message)),
            BeginSending::InDoubt(message) => {
                tracing::error!(message.id = %message.id, "in doubt: an earlier attempt may have been accepted; not sent again");
                Ok(settled(&message))
            }
        }
    }
}

async fn send(ctx: &Context, tenant: TenantId, account: &Account, message: Message, number: u32) -> Outcome {
    let attempt = Attempt { ctx, tenant, account, message: &message, number };
    let (login, submission) = match submission::of(ctx, account, &message).await {
        Ok(ready) => ready,
        Err(stop @ Stop::Fail { .. }) => {
            return attempt.end(Verdict::Failed { reason: stop.to_string() }, Err(stop)).await;
        }
        Err(other) => return Err(other),
    };
    let mut broken = None;
    let may_start = async {
        match ctx.messages.data_starting(tenant, message.id, number).await {
            Ok(Fence::Open) => ctx.holds_for(LEASE_MARGIN),
            Ok(Fence::Lost(_)) => false,
            Err(error) => {
                broken = Some(error);
                false
            }
        }
    };
    let sent = smtp::submit(&login, &submission, may_start).await;
    match (sent, broken) {
        (Err(SmtpError::Overtaken), Some(error)) => Err(error.into()),
        (sent, _) => attempt.finish(sent).await,
    }
}

/// What the attempt is charged to: the calendar day in the account's time zone, as its cap counts.
fn slot(ctx: &Context, account: &Account) -> Slot {
    let today = calendar_days(account.time_zone.0, ctx.clock.now(), 1);
    Slot { scope: Some(account.scope()), window: today.first().map(|window| window.starts_at) }
}

/// The outcome that a message's state stands for, whichever run brought it there.
fn settled(message: &Message) -> Done {
    let cap = match message.state {
        MessageState::Accepted => message.accepted_at.map_or(CapUse::Unknown, CapUse::Used),
        MessageState::Unknown | MessageState::UnknownFinal => CapUse::Unknown,
        MessageState::Planned | MessageState::Sending | MessageState::Failed | MessageState::Skipped => CapUse::NotUsed,
    };
    let output = json!({ "message_id": message.id, "message": message.state, "reason": message.reason });
    Done::with(output).cap(cap)
}
