//! What sending through the Gmail API may leave behind: doubt, a Message-ID that was not read back, a draft whose id nobody
//! stored. Everything in here may be repeated at any time. Nothing is sent from here: a draft that still stands goes back to
//! `send_email`, in its lane, because only there a unit of the mailbox's cap is reserved for it. A mailbox that was switched to SMTP is
//! looked after like the others: its messages go out there, after their drafts are deleted.

use std::fmt::Display;

use chrono::TimeDelta;
use postrider_queue::{Done, Enqueued, Job, Outcome, Stop};
use postrider_shared::accounts::Account;
use postrider_shared::database::StoreError;
use postrider_shared::ids::{AccountId, MessageId, TenantId};
use postrider_shared::jobs::{SendEmail, TendDrafts};
use postrider_shared::messages::{Message, MessageState, Verdict};
use serde_json::json;

use crate::context::Context;
use crate::gmail_mailbox::{GmailMailbox, MailboxError};
use crate::providers::gmail::{GmailError, Letter};
use crate::registry::Handler;

/// A reply that is later than this helps nobody: its draft is left to a person.
const TOO_LATE: TimeDelta = TimeDelta::days(1);
/// And one that Gmail failed to send so often.
const MOST_ATTEMPTS: u32 = 3 * SendEmail::MAX_ATTEMPTS;
/// Messages per run, of each sort.
const MOST_MESSAGES: u64 = 50;
/// Pages of drafts per run, newest first, and drafts that are looked into: each costs units.
const MOST_PAGES: usize = 3;
const MOST_LOOKS: usize = 100;
/// Messages and drafts that Gmail may fail at before the run ends: then it is not theirs.
const MOST_FAILED: usize = 3;

/// What a run did.
#[derive(Debug, Default)]
struct Tended {
    settled: usize,
    resumed: usize,
    read_back: usize,
    deleted: usize,
    failed: usize,
}

/// Why something could not be tended.
enum Trouble {
    Stop(Stop),
    Mailbox(MailboxError),
}

impl From<MailboxError> for Trouble {
    fn from(error: MailboxError) -> Self {
        Self::Mailbox(error)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Stop(error.into())
    }
}

impl From<Stop> for Trouble {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Stop(stop) => stop,
            Trouble::Mailbox(error) => error.into(),
        }
    }
}

impl Tended {
    /// Goes past what Gmail fails at, lest it keep all others behind it.
    fn go_past(&mut self, what: impl Display, tended: Result<(), Trouble>) -> Result<(), Trouble> {
        match tended {
            Err(Trouble::Mailbox(MailboxError::Gmail(error)))
                if error.may_concern_one() && self.failed < MOST_FAILED =>
            {
                tracing::warn!(%error, %what, "not tended this time");
                self.failed += 1;
                Ok(())
            }
            tended => tended,
        }
    }
}

impl Handler for TendDrafts {
    async fn run(self, ctx: &Context) -> Outcome {
        match look(self.account_id, ctx).await {
            // The next look comes in two minutes: a dead letter of each while Gmail is away would be one of many that nobody need redrive.
            Err(Stop::Retry { error, .. }) if ctx.job.attempt >= ctx.job.max_attempts => {
                tracing::error!(account.id = %self.account_id, error, "drafts were not looked after; the next look comes");
                Ok(Done::with(json!({ "failed": error })))
            }
            outcome => outcome,
        }
    }
}

async fn look(account: AccountId, ctx: &Context) -> Outcome {
    let tenant = ctx.tenant()?;
    let account = ctx.accounts.if_connected(tenant, account).await?;
    let Some(account) = account.filter(|account| account.is_active() && account.may_have_drafts()) else {
        return Ok(Done::with(json!({ "skipped": "the account is not one that has drafts of ours now" })));
    };
    let mut tended = Tended::default();
    match tend_all(ctx, &account, &mut tended).await {
        Ok(()) => {}
        // Whoever sends by SMTP need not be let in here, and whoever sends through the API is told there.
        Err(Trouble::Mailbox(MailboxError::Gmail(
            error @ (GmailError::Forbidden { .. } | GmailError::Unavailable { .. }),
        ))) => {
            tracing::warn!(%error, account.id = %account.id, "drafts cannot be looked after");
            return Ok(Done::with(json!({ "skipped": error.to_string() })));
        }
        Err(trouble) => return Err(trouble.into()),
    }
    let Tended { settled, resumed, read_back, deleted, failed } = tended;
    let output = json!({
        "settled": settled, "resumed": resumed, "read_back": read_back, "deleted": deleted, "failed": failed,
    });
    Ok(Done::with(output))
}

async fn tend_all(ctx: &Context, account: &Account, tended: &mut Tended) -> Result<(), Trouble> {
    let tenant = account.tenant_id;
    let ends = ctx.messages.loose_ends(tenant, account.id, MOST_MESSAGES).await?;
    let unwanted = ctx.messages.unwanted_drafts(tenant, account.id, MOST_MESSAGES).await?;
    let suspects = ctx.messages.drafted_again(tenant, account.id).await?;
    if ends.is_empty() && unwanted.is_empty() && !suspects {
        return Ok(());
    }
    let mut mailbox = GmailMailbox::open(ctx, account).await?;
    for message in &ends {
        ctx.go_on()?;
        let done = tend(ctx, &mut mailbox, account, message, tended).await;
        tended.go_past(message.id, done)?;
    }
    for message in &unwanted {
        ctx.go_on()?;
        let done = take_back(ctx, &mut mailbox, message, tended).await;
        tended.go_past(message.id, done)?;
    }
    if suspects {
        sweep(ctx, &mut mailbox, account, tended).await?;
    }
    Ok(())
}

async fn tend(
    ctx: &Context,
    mailbox: &mut GmailMailbox<'_>,
    account: &Account,
    message: &Message,
    tended: &mut Tended,
) -> Result<(), Trouble> {
    let (tenant, id) = (message.tenant_id, message.id);
    if message.state == MessageState::Accepted {
        let Some(provider_id) = &message.provider_id else { return Ok(()) };
        let letter = mailbox.message(provider_id).await?;
        if let Some(message_id) = letter.as_ref().and_then(Letter::message_id) {
            ctx.messages.sent_as(tenant, id, message_id).await?;
            tended.read_back += 1;
        }
        return Ok(());
    }
    if let Some(letter) = mailbox.sent(message).await? {
        tended.settled += 1;
        return Ok(accepted(ctx, message, &letter).await?);
    }
    let Some(draft) = &message.draft_id else { return Ok(()) };
    let is_timely = ctx.clock.now() - message.updated_at < TOO_LATE && message.attempt() < MOST_ATTEMPTS;
    if !is_timely || mailbox.draft(draft).await?.is_none() {
        return Ok(());
    }
    // One job for each attempt that ended in doubt; none beside the message's own, as long as that one goes on.
    let send = SendEmail { message_id: id, lane: account.transactional_lane() };
    let (message, attempt) = (id.to_string(), message.attempt().to_string());
    let again = ctx.follow_up(&send, &["send again", &message, &attempt])?;
    ctx.scopes.define_shares_of([&again]).await.map_err(Stop::from)?;
    let enqueued = ctx.queue.enqueue(again).await.map_err(Stop::from)?;
    if matches!(enqueued, Enqueued::Created(_)) {
        tended.resumed += 1;
    }
    Ok(())
}

/// Deletes the draft of a message that is not to be sent any more. One that was withdrawn may have gone out before.
async fn take_back(
    ctx: &Context,
    mailbox: &mut GmailMailbox<'_>,
    message: &Message,
    tended: &mut Tended,
) -> Result<(), Trouble> {
    let Some(draft) = &message.draft_id else { return Ok(()) };
    let was_there = mailbox.delete_draft(draft).await?;
    if message.was_withdrawn() && !was_there {
        let Some(letter) = mailbox.sent(message).await? else { return Ok(()) };
        tended.settled += 1;
        return Ok(accepted(ctx, message, &letter).await?);
    }
    tended.deleted += usize::from(was_there);
    Ok(ctx.messages.draft_deleted(message.tenant_id, message.id, draft).await?)
}

async fn accepted(ctx: &Context, message: &Message, letter: &Letter) -> Result<(), StoreError> {
    let at = letter.taken_at().unwrap_or_else(|| ctx.clock.now());
    let verdict = Verdict::Accepted { at, provider_id: Some(letter.id.clone()) };
    ctx.messages.settle(message.tenant_id, message.id, message.attempt(), verdict).await?;
    if let Some(message_id) = letter.message_id() {
        ctx.messages.sent_as(message.tenant_id, message.id, message_id).await?;
    }
    Ok(())
}

/// Deletes drafts that carry the id of one of our messages and are not the one that its row names, or whose message is never
/// sent. Drafts without that id are a person's and are left alone.
async fn sweep(
    ctx: &Context,
    mailbox: &mut GmailMailbox<'_>,
    account: &Account,
    tended: &mut Tended,
) -> Result<(), Trouble> {
    let (mut page, mut looks) = (None, 0);
    for _ in 0..MOST_PAGES {
        let found = mailbox.drafts(None, page.as_deref()).await?;
        for drafted in found.drafts {
            if looks == MOST_LOOKS {
                return Ok(());
            }
            looks += 1;
            ctx.go_on()?;
            let done = delete_if_nobodys(ctx, mailbox, account, &drafted.id, tended).await;
            tended.go_past(format_args!("draft {}", drafted.id), done)?;
        }
        page = found.next_page_token;
        if page.is_none() {
            return Ok(());
        }
    }
    Ok(())
}

async fn delete_if_nobodys(
    ctx: &Context,
    mailbox: &mut GmailMailbox<'_>,
    account: &Account,
    draft: &str,
    tended: &mut Tended,
) -> Result<(), Trouble> {
    let Some(letter) = mailbox.draft(draft).await? else { return Ok(()) };
    if let Some(ledger_id) = letter.ledger_id()
        && is_nobodys(ctx, account, ledger_id, draft).await?
    {
        mailbox.delete_draft(draft).await?;
        tended.deleted += 1;
    }
    Ok(())
}

/// Whether nobody will ever send this draft. One that an attempt may be about to store is not nobody's.
async fn is_nobodys(ctx: &Context, account: &Account, ledger_id: &str, draft: &str) -> Result<bool, Stop> {
    let Ok(id) = ledger_id.parse::<MessageId>() else { return Ok(false) };
    let tenant: TenantId = account.tenant_id;
    let message = match ctx.messages.get(tenant, id).await {
        Ok(message) => message,
        Err(StoreError::NotFound { .. }) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    if message.account_id != account.id {
        return Ok(false);
    }
    Ok(match (&message.draft_id, message.state) {
        (Some(own), _) if own != draft => true,
        // A redrive sends this very one.
        (Some(_), MessageState::Failed) if message.was_buried() => false,
        (_, MessageState::Accepted | MessageState::Failed | MessageState::Skipped) => true,
        (_, MessageState::Planned | MessageState::Sending | MessageState::Unknown | MessageState::UnknownFinal) => {
            false
        }
    })
}
