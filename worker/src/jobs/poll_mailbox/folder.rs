//! One run over a folder: what is new is taken, oldest first.

use std::time::{Duration, Instant};

use postrider_shared::accounts::Account;
use serde::Serialize;

use super::message::{self, Place, Taken};
use super::start::Start;
use super::{Trouble, blame, is_last, snapshot};
use crate::context::Context;
use crate::providers::imap::{ImapError, Login, Session, Stage};

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
    let mut session = Session::open(login).await?;
    let selected = session.select_numbered(FOLDER).await?;
    let mut start = Start::of(ctx, account, &selected).await?;
    if start.lacks_snapshot {
        match snapshot::take(ctx, account, &mut session, (&selected, &start)).await {
            // The server may stumble over an old mail: it can be read all the same.
            Err(Trouble::Imap(
                ImapError::Closed { stage: Stage::List } | ImapError::Timeout { stage: Stage::List, .. },
            )) if is_last(ctx) => {
                (session, _) = blame::open(login).await?;
                snapshot::do_without(ctx, account, &start).await?;
            }
            taken => taken?,
        }
    }
    let plan = start.plan(ctx, account, &mut session).await?;
    let mut read = Read { reset: start.reset, known: plan.known, old: plan.old, more: plan.more, ..Read::default() };
    // Before the place in the folder moves on.
    if !start.is_first {
        snapshot::pass_over(ctx, account, &mut session, &start, &plan.passed_over).await?;
    }
    let uids: Vec<u32> = plan.unread.iter().map(|(message, _)| message.uid).collect();
    let ids = session.gmail_ids(&uids).await?;
    let named: Vec<String> = ids.values().cloned().collect();
    let recorded = ctx.mail.known_to_provider(account.tenant_id, account.id, &named).await?;
    let mut last = plan.passed;
    let mut found_old = Vec::new();
    let mut tried = false;
    for (message, doubt) in &plan.unread {
        ctx.go_on()?;
        let patience = message::patience(&session, message);
        if begun.elapsed() > RUN_LIMIT || tried && begun.elapsed() + patience > RUN_LIMIT + ENDING {
            read.more = true;
            break;
        }
        tried = true;
        let provider_id = ids.get(&message.uid);
        if provider_id.is_some_and(|id| recorded.contains(id)) {
            read.known += 1;
            last = last.max(message.uid);
            continue;
        }
        let place = Place {
            account,
            folder: FOLDER,
            epoch: start.epoch,
            listed: *message,
            provider_id: provider_id.cloned(),
            doubt: *doubt,
        };
        match message::take(ctx, &mut session, &place).await {
            Ok(taken) => {
                read.count(taken);
                if matches!(taken, Taken::Old) {
                    found_old.push(message.uid);
                }
            }
            Err(Trouble::Imap(error)) => {
                drop(session);
                let (opened, reason) = blame::judge(ctx, login, &place, error).await?;
                let (opened, header) = blame::header(login, opened, message.uid).await?;
                session = opened;
                read.count(message::record(ctx, &place, header, Some(reason)).await?);
            }
            Err(stop) => return Err(stop),
        }
        last = last.max(message.uid);
    }
    snapshot::pass_over(ctx, account, &mut session, &start, &found_old).await?;
    if !read.more {
        last = last.max(plan.last);
    }
    ctx.mail.polled(account.tenant_id, account.id, (FOLDER, start.epoch), last, start.looked_at).await?;
    if !read.more && start.doubt_below > 0 {
        snapshot::pass_over_before(ctx, account, &mut session, &start).await?;
        ctx.mail.settle_doubts(account.tenant_id, account.id, (FOLDER, start.epoch)).await?;
    }
    session.close().await;
    Ok(read)
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
