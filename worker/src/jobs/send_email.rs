//! Sends one planned message of the send ledger, at most once. The ledger's row decides whether anything may be sent;
//! the queue only says when.

mod drafted;
mod ending;
mod submission;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use postrider_queue::{CapUse, Done, Outcome, QueueError, Stop, calendar_days};
use postrider_shared::accounts::Account;
use postrider_shared::database::StoreError;
use postrider_shared::jobs::SendEmail;
use postrider_shared::messages::{BeginSending, Fence, Message, MessageState, Slot, Verdict};
use serde_json::json;

use self::ending::Attempt;
use crate::access::{Login, TokenError};
use crate::context::Context;
use crate::providers::smtp::{self, Receipt, SmtpError, Submission};
use crate::registry::Handler;

/// How long the lease must still hold when the data starts: a session is renewed several times within it.
const LEASE_MARGIN: Duration = Duration::from_secs(1);
/// How soon a message of a paused account goes back to its lane, which is parked until the account is resumed. Only where the same
/// mailbox is connected twice, and used by the other connection, does it come again: then more and more rarely.
const FIRST_LOOK: TimeDelta = TimeDelta::seconds(5);
const RAREST_LOOK: TimeDelta = TimeDelta::minutes(30);

impl Handler for SendEmail {
    async fn run(self, ctx: &Context) -> Outcome {
        let tenant = ctx.tenant()?;
        let planned = ctx.messages.get(tenant, self.message_id).await;
        let planned = planned.map_err(|error| unread(ctx, error))?;
        if planned.is_settled() && !planned.has_draft_in_doubt() {
            return Ok(settled(ctx, &planned));
        }
        let cap = unopened(ctx, &planned);
        let charged = |error: StoreError| Stop::from(error).with_cap(cap);
        let Some(account) = ctx.accounts.if_connected(tenant, planned.account_id).await.map_err(charged)? else {
            ctx.messages.skip(tenant, planned.id, "its mailbox was disconnected").await.map_err(charged)?;
            return Ok(settled(ctx, &ctx.messages.get(tenant, planned.id).await.map_err(charged)?));
        };
        let can_look = account.sends_by_gmail() || planned.has_draft_in_doubt();
        let may_be_out = planned.data_started_at.is_some() && !can_look;
        if !ctx.job.lane.scopes.contains(&account.scope()) && !may_be_out {
            return moved(ctx, &account, &planned).await;
        }
        if !account.is_active() {
            return Err(Stop::snooze(look_again(ctx), "the mailbox is paused").with_cap(cap));
        }
        if account.sends_by_gmail() {
            return Box::pin(drafted::send(ctx, &account, &planned)).await;
        }
        let is_to_take_back = planned.data_started_at.is_none() || planned.has_draft_in_doubt();
        if let Some(draft) = planned.draft_id.as_deref().filter(|_| is_to_take_back)
            && let Some(done) = Box::pin(drafted::take_back(ctx, &account, &planned, draft)).await?
        {
            return Ok(done);
        }
        let login = match ctx.login(&account).await {
            Err(error @ (TokenError::NeedsConsent { .. } | TokenError::Waiting { .. })) => {
                return Err(Stop::from(error).with_cap(cap));
            }
            login => login.map_err(Stop::from),
        };
        match ctx.messages.begin_sending(tenant, planned.id, slot(ctx, &account)).await.map_err(charged)? {
            BeginSending::Go { attempt, message } => Box::pin(send(ctx, (&account, login), message, attempt)).await,
            BeginSending::AlreadySettled(message) => Ok(settled(ctx, &message)),
            BeginSending::InDoubt(message) => {
                tracing::error!(message.id = %message.id, "in doubt: an earlier attempt may have been accepted; not sent again");
                Ok(settled(ctx, &message).cap(unopened(ctx, &message)))
            }
        }
    }
}

/// The address of the account was changed while the message waited, or another mailbox's job was redriven for it: another scope's limits
/// hold for it now. Nothing is sent under the old ones; their unit is given back unless a run before may have used it, and the job that
/// follows waits for one of the new scope. The outcome that ends this job brings that one, both or neither, and its id follows from
/// this job's: there is always one job, as often as the address is changed.
///
/// A message that a mail server may have taken already stays: no unit would be used for it, it only becomes `unknown`.
async fn moved(ctx: &Context, account: &Account, message: &Message) -> Outcome {
    let send = SendEmail { message_id: message.id, lane: account.transactional_lane() };
    let follows = ctx.follow_up(&send, &["send", &message.id.to_string(), &ctx.job.id.to_string()])?;
    let unqueued = |error: QueueError| Stop::from(error).with_cap(unopened(ctx, message));
    ctx.scopes.define_shares_of([&follows]).await.map_err(unqueued)?;
    let reason = "its job stood in the lane of another address: the job that follows sends it";
    let output = json!({ "message_id": message.id, "message": message.state, "reason": reason });
    Ok(Done::with(output).cap(unopened(ctx, message)).then(follows))
}

async fn send(
    ctx: &Context,
    (account, login): (&Account, Result<Login, Stop>),
    message: Message,
    number: u32,
) -> Outcome {
    let tenant = account.tenant_id;
    let attempt = Attempt { ctx, tenant, account, message: &message, number };
    let ready = match login {
        Ok(login) => submission::of(ctx, account, &message).await.map(|submission| (login, submission)),
        Err(stop) => Err(stop),
    };
    let (mut login, submission) = match ready {
        Ok(ready) => ready,
        Err(stop @ Stop::Fail { .. }) => {
            return attempt.end(Verdict::Failed { reason: stop.to_string() }, Err(stop)).await;
        }
        Err(other) => return Err(other),
    };
    let (mut sent, mut broken) = submit(&attempt, &login, &submission).await;
    if let Err(SmtpError::LoginRefused { .. }) = &sent {
        // Nothing was handed over yet. A token may have been taken back before its time: one more, then the account stops.
        match ctx.login_again(account, &login).await {
            Ok(Some(newer)) => {
                login = newer;
                (sent, broken) = submit(&attempt, &login, &submission).await;
            }
            Ok(None) => {}
            Err(error) => {
                let verdict = Verdict::Refused { reason: error.to_string() };
                return attempt.end(verdict, Err(error.into())).await;
            }
        }
    }
    match (sent, broken) {
        (Err(SmtpError::Overtaken), Some(error)) => match Stop::from(error) {
            stop @ Stop::Fail { .. } => Err(stop),
            // Whatever the database took of it: nothing was sent.
            stop => attempt.end(attempt.unsent(&stop), Err(stop)).await,
        },
        (sent, _) => attempt.finish(sent, &login).await,
    }
}

/// Hands the message to the mail server, if it is still ours when its data starts; and the database's error if that could not be
/// told.
async fn submit(
    attempt: &Attempt<'_>,
    login: &Login,
    submission: &Submission,
) -> (Result<Receipt, SmtpError>, Option<StoreError>) {
    let Attempt { ctx, account, .. } = attempt;
    let mut broken = None;
    let may_start = async {
        match attempt.data_starting().await {
            Ok(Fence::Open) => ctx.holds_for(LEASE_MARGIN),
            Ok(Fence::Lost(_)) => false,
            Err(error) => {
                broken = Some(error);
                false
            }
        }
    };
    let sent = Box::pin(smtp::submit(&submission::server(ctx, account, login), submission, may_start)).await;
    (sent, broken)
}

fn look_again(ctx: &Context) -> DateTime<Utc> {
    let wait = FIRST_LOOK * 2_i32.saturating_pow(ctx.job.snoozes.min(16));
    ctx.clock.now() + wait.min(RAREST_LOOK)
}

/// What the attempt is charged to: the calendar day in the account's time zone, as its cap counts.
fn slot(ctx: &Context, account: &Account) -> Slot {
    let today = calendar_days(account.time_zone.0, ctx.clock.now(), 1);
    Slot { scope: Some(account.scope()), window: today.first().map(|window| window.starts_at) }
}

/// The ledger could not be read. Only it tells whether a run before, whose unit this one may hold, handed the message over.
fn unread(ctx: &Context, error: StoreError) -> Stop {
    let cap = if ctx.job.inherits_units { CapUse::Unknown } else { CapUse::NotUsed };
    Stop::from(error).with_cap(cap)
}

/// What becomes of the unit of a run that ends before it opened an attempt. A run that was cut off leaves its unit to the next, and
/// with it what it may have sent. That is charged once: the units of later runs are their own.
fn unopened(ctx: &Context, planned: &Message) -> CapUse {
    let may_be_used = ctx.job.inherits_units && planned.data_started_at.is_some();
    if may_be_used { CapUse::Unknown } else { CapUse::NotUsed }
}

/// The outcome that a message's state stands for, whichever run brought it there.
fn settled(ctx: &Context, message: &Message) -> Done {
    let cap = match message.state {
        MessageState::Accepted => message.accepted_at.map_or(CapUse::Unknown, CapUse::Used),
        MessageState::Unknown | MessageState::UnknownFinal => CapUse::Unknown,
        MessageState::Planned | MessageState::Sending => unopened(ctx, message),
        MessageState::Failed | MessageState::Skipped => CapUse::NotUsed,
    };
    let output = json!({ "message_id": message.id, "message": message.state, "reason": message.reason });
    Done::with(output).cap(cap)
}
