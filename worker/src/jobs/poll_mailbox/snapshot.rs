//! What lies in a folder when we begin to read it is kept, and what is passed over later, so that it is known as old mail
//! whatever becomes of the folder.

use std::time::{Duration, Instant};

use postrider_shared::accounts::Account;
use postrider_shared::mail::{Coverage, Print};

use super::Trouble;
use super::folder::FOLDER;
use super::inbox::Inbox;
use super::narrow::{self, Prints};
use super::start::Start;
use crate::context::Context;
use crate::providers::imap::{ImapError, Selected, Session};

/// Mails that are kept: 400 KB in the database.
const MOST: u32 = 50_000;
const PER_FETCH: u32 = 500;
/// A server that takes longer shows its newest mails only.
const LIMIT: Duration = Duration::from_mins(1);

/// Keeps the snapshot of a folder that has none: all that was read, and all that is from before the connection.
pub(super) async fn take(
    ctx: &Context,
    account: &Account,
    session: &mut Session,
    (selected, start): (&Selected, &Start),
) -> Result<(), Trouble> {
    let (coverage, prints) = match selected.exists {
        Some(exists) => look(session, exists, start).await?,
        None => (Coverage::Newest, Vec::new()),
    };
    ctx.mail.keep_snapshot(account.tenant_id, account.id, (FOLDER, start.epoch), coverage, &prints).await?;
    tracing::debug!(account.id = %account.id, mails = prints.len(), %coverage, "what lies in the folder is known");
    Ok(())
}

/// A folder whose old mail cannot be looked at.
pub(super) async fn do_without(ctx: &Context, account: &Account, start: &Start) -> Result<(), Trouble> {
    tracing::warn!(account.id = %account.id, "what lies in the folder cannot be looked at");
    Ok(ctx.mail.keep_snapshot(account.tenant_id, account.id, (FOLDER, start.epoch), Coverage::Newest, &[]).await?)
}

/// Keeps what was passed over as old since, as far as the server shows it.
pub(super) async fn pass_over(
    ctx: &Context,
    account: &Account,
    inbox: &mut Inbox<'_>,
    start: &Start,
    uids: &[u32],
) -> Result<(), Trouble> {
    if uids.is_empty() {
        return Ok(());
    }
    let prints: Vec<Print> = narrow::ask(ctx, inbox, &Prints, uids).await?.found.into_values().collect();
    Ok(ctx.mail.pass_over(account.tenant_id, account.id, (FOLDER, start.epoch), &prints).await?)
}

/// Keeps what a listing by day did not show, and what may have been filed there since the last one.
pub(super) async fn pass_over_before(
    ctx: &Context,
    account: &Account,
    inbox: &mut Inbox<'_>,
    start: &Start,
) -> Result<(), Trouble> {
    let Some(day) = start.first_looked_at() else { return Ok(()) };
    let uids = inbox.session().await?.arrived_before(day).await?;
    let newest = uids.len().saturating_sub(MOST as usize);
    pass_over(ctx, account, inbox, start, &uids[newest..]).await
}

async fn look(session: &mut Session, exists: u32, start: &Start) -> Result<(Coverage, Vec<Print>), ImapError> {
    let begun = Instant::now();
    let mut prints = Vec::new();
    let mut coverage = if exists > MOST { Coverage::Newest } else { Coverage::Whole };
    let oldest = exists.saturating_sub(MOST) + 1;
    let mut last = exists;
    while last >= oldest {
        if begun.elapsed() > LIMIT {
            return Ok((Coverage::Newest, prints));
        }
        let first = last.saturating_sub(PER_FETCH - 1).max(oldest);
        let shown = match session.printed(first, last).await {
            Ok(shown) => shown,
            // It can be read all the same.
            Err(ImapError::Refused { .. } | ImapError::Protocol { .. }) => return Ok((Coverage::Newest, prints)),
            Err(other) => return Err(other),
        };
        if shown.len() < (last - first + 1) as usize {
            coverage = Coverage::Newest;
        }
        for (_, print) in shown.into_iter().filter(|(message, _)| start.was_there(message)) {
            match print {
                Some(print) => prints.push(print),
                None => coverage = Coverage::Newest,
            }
        }
        last = first - 1;
    }
    Ok((coverage, prints))
}
