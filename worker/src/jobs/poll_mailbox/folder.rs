//! Which messages of a folder are new, and in which order they are taken.

use std::time::{Duration, Instant};

use chrono::{Days, SubsecRound};
use postrider_shared::accounts::Account;
use postrider_shared::mail::{MailboxCursor, Opened};
use serde::Serialize;

use super::Trouble;
use super::message::{self, Place, Taken};
use crate::context::Context;
use crate::providers::imap::{ImapError, Listed, Login, Selected, Session, Since};

pub(crate) const FOLDER: &str = "INBOX";
/// Messages one run takes; what is left is the next run's, which follows at once.
const BATCH: usize = 200;
/// A run ends in good order long before its hard deadline.
const RUN_LIMIT: Duration = Duration::from_mins(3);

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
    let selected = session.select(FOLDER).await?;
    // A server without UIDVALIDITY keeps its numbers as long as nobody says otherwise; copies are known anyway.
    let validity = selected.uid_validity.unwrap_or_default();
    let opened = ctx.mail.open_folder(account.tenant_id, account.id, FOLDER, validity).await?;
    let start = Start::of(&opened, &selected);
    let mut read = Read { reset: start.reset, ..Read::default() };
    if start.reset {
        tracing::warn!(account.id = %account.id, "mailbox reset: its server numbers messages anew");
    }
    let listed = session.list(start.since, BATCH + 1).await?;
    read.more = listed.len() > BATCH;
    let mut last = u32::try_from(opened.cursor().last_uid).unwrap_or(u32::MAX);
    for message in listed.iter().take(BATCH) {
        ctx.go_on()?;
        if begun.elapsed() > RUN_LIMIT {
            read.more = true;
            break;
        }
        if is_old(message, opened.cursor()) {
            read.old += 1;
        } else {
            let place = Place { account, folder: FOLDER, validity, listed: *message, reset: start.reset };
            match message::take(ctx, &mut session, &place).await {
                Ok(taken) => read.count(taken),
                Err(Trouble::Imap(error)) => {
                    // Only what the message itself causes is recorded; a server that is away is asked again later.
                    let Some(reason) = blamed(ctx, &error) else { return Err(error.into()) };
                    session = Session::open(login).await?;
                    session.select(FOLDER).await?;
                    read.count(message::fail(ctx, &mut session, &place, reason).await?);
                }
                Err(stop) => return Err(stop),
            }
        }
        last = last.max(message.uid);
    }
    ctx.mail.polled(account.tenant_id, account.id, FOLDER, validity, last).await?;
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

/// Where to begin, decided from what the server says and what we know.
struct Start {
    since: Since,
    reset: bool,
}

impl Start {
    fn of(opened: &Opened, selected: &Selected) -> Self {
        let cursor = opened.cursor();
        let next = u32::try_from(cursor.last_uid).unwrap_or(u32::MAX).saturating_add(1);
        // Numbers that went back without a new UIDVALIDITY: a mailbox restored from a copy.
        let went_back = selected.uid_next.is_some_and(|announced| announced != 0 && announced < next);
        let since_day = Since::Day(cursor.since.date_naive() - Days::new(1));
        match opened {
            Opened::First(_) => Self { since: since_day, reset: false },
            Opened::Continues(_) if !went_back => Self { since: Since::Uid(next), reset: false },
            Opened::Continues(_) | Opened::Reset { .. } => Self { since: since_day, reset: true },
        }
    }
}

/// INTERNALDATE has whole seconds, so mail of the very second of the connection counts as new.
fn is_old(message: &Listed, cursor: &MailboxCursor) -> bool {
    message.received_at.is_some_and(|at| at < cursor.since.trunc_subsecs(0))
}

/// Whether this error is the message's own fault, and what to say of it.
fn blamed(ctx: &Context, error: &ImapError) -> Option<String> {
    let last_attempt = ctx.job.attempt >= ctx.job.max_attempts;
    match error {
        ImapError::TooMuch { .. } => Some("the mail is larger than its server says, or than can be read".to_owned()),
        ImapError::Protocol { .. } | ImapError::Withheld { .. } | ImapError::Refused { .. } if last_attempt => {
            Some(error.to_string())
        }
        ImapError::Protocol { .. }
        | ImapError::Withheld { .. }
        | ImapError::Refused { .. }
        | ImapError::Unreachable { .. }
        | ImapError::Tls { .. }
        | ImapError::Insecure { .. }
        | ImapError::Timeout { .. }
        | ImapError::Closed { .. }
        | ImapError::LoginRefused { .. }
        | ImapError::Unsendable => None,
    }
}
