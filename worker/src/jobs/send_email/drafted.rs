//! Sending through the Gmail API: a draft is made, its id stored under the attempt, the draft sent.
//!
//! The first draft whose id is stored is the only one of its message that is ever sent, and Google sends a draft once. So an
//! attempt that was cut off, wherever, is taken up by the next: without a stored id nothing can have been sent; with one, the
//! draft is there and is sent, or it is gone and the thread tells what it became. Only a draft that is gone and left nothing
//! behind, because a person deleted it or Google's index lags, makes doubt, and that is looked into later (`tend_drafts`). Until a
//! run has seen what became of a draft that was to be sent, none says that nothing went out. If the account was switched to SMTP
//! meanwhile, the draft is deleted first: one that was there to be deleted did not go out, and never will.

mod failure;

use postrider_queue::{CapUse, Done, Outcome, Stop};
use postrider_shared::accounts::Account;
use postrider_shared::database::StoreError;
use postrider_shared::messages::{BeginSending, Draft, Fence, Message, Verdict};

use super::ending::Attempt;
use super::{LEASE_MARGIN, settled, slot, submission, unopened};
use crate::context::Context;
use crate::gmail_mailbox::{GmailMailbox, MailboxError};
use crate::providers::gmail::{GmailError, Letter};

/// Ids of a message's ancestors that are looked for, to find its thread.
const ANCESTORS: usize = 3;

/// How a run ended that did not fail.
enum Sent {
    /// Google has it under this id.
    Now(String),
    /// An earlier run sent it.
    Before(Letter),
    /// The draft is gone, and nothing that went out is known to be it.
    Vanished,
    /// Another run may have the message by now.
    Overtaken,
}

/// Why a run did not get through.
enum Halt {
    Stop(Stop),
    /// Before the draft was sent: nothing went out.
    Unsent(MailboxError),
    /// Before it could be seen what became of the draft, which was to be sent: it may have gone out.
    Unseen(Stop),
    /// While it was sent: it may have gone out.
    Doubt(GmailError),
}

impl Halt {
    fn unseen(error: impl Into<Stop>) -> Self {
        Self::Unseen(error.into())
    }
}

impl From<Stop> for Halt {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Stop(error.into())
    }
}

pub(super) async fn send(ctx: &Context, account: &Account, planned: &Message) -> Outcome {
    let (mut mailbox, begun) = begin(ctx, account, planned).await?;
    let (number, message) = match begun {
        Begun::Go(number, message) => (number, message),
        Begun::Settled(done) => return Ok(done),
    };
    let attempt = Attempt { ctx, tenant: account.tenant_id, account, message: &message, number };
    let may_be_in_hand = unopened(ctx, &message) == CapUse::Unknown;
    let sent = steps(&attempt, &mut mailbox).await;
    let outcome = conclude(attempt, &mut mailbox, sent).await;
    // Whoever was cut off while it sent the draft may be heard by Gmail later than this run: its unit stays charged.
    outcome.map_err(|stop| if may_be_in_hand { stop.with_cap(CapUse::Unknown) } else { stop })
}

/// Before a message goes out in another way, its draft is deleted: a run that stood still when it was to send that would send it
/// beside. `None` if nobody can any more; else the message is not to be sent, because it may have gone out.
pub(super) async fn take_back(
    ctx: &Context,
    account: &Account,
    planned: &Message,
    draft: &str,
) -> Result<Option<Done>, Stop> {
    let (mut mailbox, begun) = begin(ctx, account, planned).await?;
    let (number, message) = match begun {
        Begun::Go(number, message) => (number, message),
        Begun::Settled(done) => return Ok(Some(done)),
    };
    let attempt = Attempt { ctx, tenant: account.tenant_id, account, message: &message, number };
    let is_doubtful = message.data_started_at.is_some();
    let sent = match mailbox.delete_draft(draft).await {
        Ok(true) => {
            attempt.draft_taken_back(draft).await?;
            return Ok(None);
        }
        // Whoever has the draft in hand is not let in either, where Gmail lets nobody in.
        Err(MailboxError::Gmail(GmailError::Forbidden { .. } | GmailError::Unavailable { .. })) if !is_doubtful => {
            return Ok(None);
        }
        Ok(false) => gone(&mut mailbox, &message).await,
        Err(error) if is_doubtful => Err(Halt::unseen(error)),
        Err(error) => Err(Halt::Unsent(error)),
    };
    conclude(attempt, &mut mailbox, sent).await.map(Some)
}

/// Whether an attempt was opened.
enum Begun {
    Go(u32, Box<Message>),
    Settled(Done),
}

async fn begin<'a>(
    ctx: &'a Context,
    account: &'a Account,
    planned: &Message,
) -> Result<(GmailMailbox<'a>, Begun), Stop> {
    let cap = unopened(ctx, planned);
    let mailbox = GmailMailbox::open(ctx, account).await.map_err(|stop| stop.with_cap(cap))?;
    let begun = ctx.messages.begin_drafting(account.tenant_id, planned.id, slot(ctx, account)).await;
    let begun = match begun.map_err(|error| Stop::from(error).with_cap(cap))? {
        BeginSending::Go { attempt, message } => Begun::Go(attempt, Box::new(message)),
        BeginSending::AlreadySettled(message) => Begun::Settled(settled(ctx, &message)),
        BeginSending::InDoubt(message) => {
            tracing::error!(message.id = %message.id, "in doubt: an earlier attempt may have been accepted; not sent again");
            Begun::Settled(settled(ctx, &message).cap(unopened(ctx, &message)))
        }
    };
    Ok((mailbox, begun))
}

async fn conclude(attempt: Attempt<'_>, mailbox: &mut GmailMailbox<'_>, sent: Result<Sent, Halt>) -> Outcome {
    match sent {
        Ok(Sent::Now(id)) => accepted(&attempt, mailbox, &id, None).await,
        Ok(Sent::Before(letter)) => accepted(&attempt, mailbox, &letter.id.clone(), Some(letter)).await,
        Ok(Sent::Vanished) => vanished(&attempt).await,
        Ok(Sent::Overtaken) => {
            let reason = "another run may have the message by now; nothing was handed over";
            attempt.end(Verdict::Refused { reason: reason.to_owned() }, Err(Stop::retry(reason))).await
        }
        Err(Halt::Stop(stop @ Stop::Fail { .. })) => {
            attempt.end(Verdict::Failed { reason: stop.to_string() }, Err(stop)).await
        }
        Err(Halt::Stop(stop)) => Err(stop),
        Err(Halt::Unsent(MailboxError::Token(error))) => {
            attempt.end(Verdict::Refused { reason: error.to_string() }, Err(error.into())).await
        }
        Err(Halt::Unsent(MailboxError::Gmail(error))) => failure::unsent(attempt, error).await,
        Err(Halt::Unseen(stop)) => {
            let own = if attempt.ctx.job.inherits_units { CapUse::Unknown } else { CapUse::NotUsed };
            failure::unseen(&attempt, stop, own).await
        }
        Err(Halt::Doubt(error)) => failure::doubt(&attempt, mailbox, error).await,
    }
}

async fn steps(attempt: &Attempt<'_>, mailbox: &mut GmailMailbox<'_>) -> Result<Sent, Halt> {
    let Attempt { ctx, tenant, message, number, .. } = *attempt;
    let draft = match &message.draft_id {
        Some(draft) => {
            if message.data_started_at.is_some() {
                if let Some(letter) = mailbox.sent(message).await.map_err(Halt::unseen)? {
                    return Ok(Sent::Before(letter));
                }
                if mailbox.draft(draft).await.map_err(Halt::unseen)?.is_none() {
                    return gone(mailbox, message).await;
                }
            }
            draft.clone()
        }
        None => match make(attempt, mailbox).await? {
            Some(draft) => draft,
            None => return Ok(Sent::Overtaken),
        },
    };
    match ctx.messages.data_starting(tenant, message.id, number).await? {
        Fence::Open if ctx.holds_for(LEASE_MARGIN) => {}
        Fence::Open | Fence::Lost(_) => return Ok(Sent::Overtaken),
    }
    match mailbox.send_draft(&draft).await {
        Ok(filed) => Ok(Sent::Now(filed.id)),
        Err(MailboxError::Gmail(GmailError::NotFound { .. })) => {
            // The row as it is now: this attempt may have made the draft, and only the row knows its thread.
            let message = ctx.messages.get(tenant, message.id).await.map_err(Halt::unseen)?;
            gone(mailbox, &message).await
        }
        Err(MailboxError::Gmail(error)) if error.in_doubt() => Err(Halt::Doubt(error)),
        Err(error) => Err(Halt::Unsent(error)),
    }
}

/// A draft that is not there any more: it went out between two looks, or somebody deleted it.
async fn gone(mailbox: &mut GmailMailbox<'_>, message: &Message) -> Result<Sent, Halt> {
    let letter = mailbox.sent(message).await.map_err(Halt::unseen)?;
    Ok(letter.map_or(Sent::Vanished, Sent::Before))
}

/// Makes a draft and stores its id; `None` if another attempt was faster. One that an earlier attempt made and did not come to
/// store is used, and any further ones are deleted.
async fn make(attempt: &Attempt<'_>, mailbox: &mut GmailMailbox<'_>) -> Result<Option<String>, Halt> {
    let Attempt { ctx, tenant, message, number, account } = *attempt;
    let mut orphans = if number > 1 { orphans(mailbox, message).await.map_err(Halt::Unsent)? } else { Vec::new() };
    let draft = if let Some(orphan) = orphans.pop() {
        orphan
    } else {
        let submission = submission::of(ctx, account, message).await?;
        let thread = thread(mailbox, message).await.map_err(Halt::Unsent)?;
        let made = match mailbox.create_draft(&submission.raw, thread.as_deref()).await {
            // The thread was deleted meanwhile: the headers still thread it for the recipient.
            Err(MailboxError::Gmail(GmailError::NotFound { .. })) if thread.is_some() => {
                mailbox.create_draft(&submission.raw, None).await
            }
            made => made,
        };
        let made = made.map_err(Halt::Unsent)?;
        Draft { id: made.id, thread_id: made.message.thread_id }
    };
    let id = draft.id.clone();
    let stored = ctx.messages.store_draft(tenant, message.id, number, draft).await?;
    let ours = stored == Fence::Open;
    let leftover = orphans.into_iter().map(|orphan| orphan.id).chain((!ours).then(|| id.clone()));
    for draft in leftover.collect::<Vec<_>>() {
        // What is not deleted now is swept later.
        if let Err(error) = mailbox.delete_draft(&draft).await {
            tracing::warn!(%error, message.id = %message.id, "a draft that is not needed is still there");
        }
    }
    Ok(ours.then_some(id))
}

/// Drafts of this message whose ids nobody stored, as far as the index knows of them.
async fn orphans(mailbox: &mut GmailMailbox<'_>, message: &Message) -> Result<Vec<Draft>, MailboxError> {
    let ours = message.id.to_string();
    let mut found = Vec::new();
    for drafted in mailbox.drafts(Some(&message.rfc_message_id), None).await?.drafts {
        let letter = mailbox.draft(&drafted.id).await?;
        if letter.is_some_and(|letter| letter.ledger_id() == Some(&ours)) {
            found.push(Draft { id: drafted.id, thread_id: drafted.message.thread_id });
        }
    }
    Ok(found)
}

/// The thread of the message's nearest ancestor in our mailbox.
async fn thread(mailbox: &mut GmailMailbox<'_>, message: &Message) -> Result<Option<String>, MailboxError> {
    let mut ancestors: Vec<&String> = message.in_reply_to.iter().chain(message.references.0.iter().rev()).collect();
    ancestors.dedup();
    for id in ancestors.into_iter().take(ANCESTORS) {
        if let Some(filed) = mailbox.find(id).await? {
            return Ok(Some(filed.thread_id));
        }
    }
    Ok(None)
}

/// The ledger first: between Google's answer and this row nothing may come that takes time.
async fn accepted(
    attempt: &Attempt<'_>,
    mailbox: &mut GmailMailbox<'_>,
    provider_id: &str,
    letter: Option<Letter>,
) -> Outcome {
    let Attempt { ctx, tenant, .. } = *attempt;
    let at = letter.as_ref().and_then(Letter::taken_at).unwrap_or_else(|| ctx.clock.now());
    let message = attempt.settle(Verdict::Accepted { at, provider_id: Some(provider_id.to_owned()) }).await?;
    tracing::info!(message.id = %message.id, "accepted by Gmail");
    let letter = match letter {
        Some(letter) => Ok(Some(letter)),
        None => mailbox.message(provider_id).await,
    };
    // What fails here is done later (`tend_drafts`): the message is out.
    match letter {
        Ok(Some(letter)) => {
            if let Some(id) = letter.message_id()
                && let Err(error) = ctx.messages.sent_as(tenant, message.id, id).await
            {
                tracing::warn!(%error, message.id = %message.id, "the Message-ID is not noted yet");
            }
        }
        Ok(None) => tracing::warn!(message.id = %message.id, "Gmail does not show the message that it sent"),
        Err(error) => tracing::warn!(%error, message.id = %message.id, "the Message-ID is not read back yet"),
    }
    Ok(settled(ctx, &message).cap(CapUse::Used(at)))
}

async fn vanished(attempt: &Attempt<'_>) -> Outcome {
    failure::unknown(attempt, "its draft is gone, and Gmail does not show yet what it became".to_owned()).await
}
