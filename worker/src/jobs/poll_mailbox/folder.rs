//! One run over a folder: what is new is taken, oldest first.

use std::time::{Duration, Instant};

use postrider_shared::accounts::Account;
use serde::Serialize;

use super::inbox::Inbox;
use super::message::{self, Place, Taken};
use super::narrow::{self, GmailIds};
use super::start::{Start, Unread};
use super::{Trouble, blame, is_last, snapshot};
use crate::context::Context;
use crate::providers::imap::{ImapError, Login, Stage};

pub(crate) const FOLDER: &str = "INBOX";
/// Messages one run takes; what is left is the next run's, which follows at once.
pub(super) const BATCH: usize = 200;
/// A run ends in good order long before its hard deadline.
const RUN_LIMIT: Duration = Duration::from_mins(3);
/// What its last message may take beyond that.
const ENDING: Duration = Duration::from_mins(1);

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Read {
    pub(super) recorded: u32,
    /// Seen before: other copies of recorded mail.
    pub(super) known: u32,
    /// Recorded with a reason why they cannot be read.
    pub(super) failed: u32,
    /// From before the mailbox was connected.
    pub(super) old: u32,
    /// The server numbered its messages anew; nothing old was taken for new.
    pub(super) reset: bool,
    #[serde(skip)]
    pub(super) more: bool,
}

/// Reads what is new. The session is opened again where a message made it useless.
pub(super) async fn read(ctx: &Context, account: &Account, login: &Login) -> Result<Read, Trouble> {
    let begun = Instant::now();
    let (mut inbox, selected) = Inbox::open(login).await?;
    let mut start = Start::of(ctx, account, &selected).await?;
    if start.lacks_snapshot {
        match snapshot::take(ctx, account, inbox.session().await?, (&selected, &start)).await {
            // The server may stumble over an old mail: it can be read all the same.
            Err(Trouble::Imap(
                ImapError::Closed { stage: Stage::List } | ImapError::Timeout { stage: Stage::List, .. },
            )) if is_last(ctx) => {
                inbox.spoiled();
                snapshot::do_without(ctx, account, &start).await?;
            }
            taken => taken?,
        }
    }
    let plan = start.plan(ctx, account, &mut inbox).await?;
    let mut read = Read { reset: start.reset, known: plan.known, old: plan.old, more: plan.more, ..Read::default() };
    // Before the place in the folder moves on.
    if !start.is_first {
        snapshot::pass_over(ctx, account, &mut inbox, &start, &plan.passed_over).await?;
    }
    let uids: Vec<u32> = plan.unread.iter().map(|message| message.listed.uid).collect();
    let ids = narrow::ask_all(ctx, &mut inbox, &GmailIds, &uids).await?.found;
    let named: Vec<String> = ids.values().cloned().collect();
    let recorded = ctx.mail.known_to_provider(account.tenant_id, account.id, &named).await?;
    let mut last = plan.passed;
    let mut found_old = Vec::new();
    let mut tried = false;
    for Unread { listed, doubt, broken } in plan.unread {
        ctx.go_on()?;
        let patience = message::patience(inbox.session().await?, &listed);
        // One is always tried: listing may have taken long.
        if tried && (begun.elapsed() > RUN_LIMIT || begun.elapsed() + patience > RUN_LIMIT + ENDING) {
            read.more = true;
            break;
        }
        tried = true;
        let provider_id = ids.get(&listed.uid);
        if provider_id.is_some_and(|id| recorded.contains(id)) {
            read.known += 1;
            last = last.max(listed.uid);
            continue;
        }
        let place =
            Place { account, folder: FOLDER, epoch: start.epoch, listed, provider_id: provider_id.cloned(), doubt };
        let taken = take(ctx, &mut inbox, &place, broken).await?;
        read.count(taken);
        if matches!(taken, Taken::Old) {
            found_old.push(listed.uid);
        }
        last = last.max(listed.uid);
    }
    snapshot::pass_over(ctx, account, &mut inbox, &start, &found_old).await?;
    if !read.more {
        last = last.max(plan.last);
    }
    ctx.mail.polled(account.tenant_id, account.id, (FOLDER, start.epoch), last, start.looked_at).await?;
    if !read.more && start.doubt_below > 0 {
        snapshot::pass_over_before(ctx, account, &mut inbox, &start).await?;
        ctx.mail.settle_doubts(account.tenant_id, account.id, (FOLDER, start.epoch)).await?;
    }
    inbox.close().await;
    Ok(read)
}

/// Takes a message, or what can be had of it if it cannot be taken.
async fn take(
    ctx: &Context,
    inbox: &mut Inbox<'_>,
    place: &Place<'_>,
    broken: Option<ImapError>,
) -> Result<Taken, Trouble> {
    let unlisted = broken.is_some();
    if let Some(error) = broken {
        blame::judge(ctx, inbox, place, error).await?;
    }
    let error = match message::take(ctx, inbox.session().await?, place).await {
        // Its number was just told.
        Ok(Taken::Gone) if unlisted => ImapError::Withheld { uid: place.listed.uid },
        Err(Trouble::Imap(error)) => error,
        taken => return taken,
    };
    let reason = blame::judge(ctx, inbox, place, error).await?;
    let header = blame::header(inbox, place.listed.uid).await?;
    message::record(ctx, place, header, Some(reason)).await
}

impl Read {
    fn count(&mut self, taken: Taken) {
        match taken {
            Taken::Recorded => self.recorded += 1,
            Taken::Known => self.known += 1,
            Taken::Failed => self.failed += 1,
            Taken::Old => self.old += 1,
            Taken::Gone => {}
        }
    }
}
