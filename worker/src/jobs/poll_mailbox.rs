//! Fetches new mail of one mailbox. Each message is recorded in a transaction of its own together with the place in
//! the folder, so that a run that is cut off anywhere goes on where it was.

mod blame;
mod folder;
mod inbox;
mod message;
mod narrow;
mod snapshot;
mod start;

use std::time::Duration;

use chrono::TimeDelta;
use postrider_queue::{Done, Job as _, Outcome, Stop};
use postrider_shared::accounts::Account;
use postrider_shared::database::StoreError;
use postrider_shared::jobs::PollMailbox;
use postrider_shared::watches::{Opener, Way};
use serde_json::json;

use crate::access::{self, TokenError};
use crate::context::{Context, Services};
use crate::providers::Classed as _;
use crate::providers::imap::{ImapError, Login};
use crate::registry::Handler;

pub(crate) use self::folder::FOLDER;

/// What a job's connection may outlast the job by.
const LEFT_OPEN: Duration = Duration::from_secs(30);
/// How soon a mailbox is asked again that has all its connections open: they are read from for seconds.
const FULL: TimeDelta = TimeDelta::seconds(5);

impl Handler for PollMailbox {
    async fn run(self, ctx: &Context) -> Outcome {
        match look(&self, ctx).await {
            // Ours is away: the database, the object store. The timetable looks into the mailbox again, whatever becomes of this run, so
            // that a dead letter would be one of many that nobody need redrive.
            Err(Stop::Retry { error, .. }) if self.planned_at.is_some() && is_last(ctx) => {
                tracing::error!(account.id = %self.account_id, error, "a mailbox was not read; it is tried again at its interval");
                Ok(Done::with(json!({ "failed": error })))
            }
            outcome => outcome,
        }
    }
}

async fn look(poll: &PollMailbox, ctx: &Context) -> Outcome {
    let tenant = ctx.tenant()?;
    let Some(account) = ctx.accounts.if_connected(tenant, poll.account_id).await? else {
        return Ok(Done::with(json!({ "skipped": "the mailbox was disconnected" })));
    };
    if !account.is_active() || !ctx.tenants.get(tenant).await?.is_active() {
        return Ok(Done::with(json!({ "skipped": "the mailbox is paused" })));
    }
    // Somebody who asks for it has it read now; the timetable waits for a server that gave trouble.
    let planned = poll.planned_at.is_some();
    if planned && let Some((until, error)) = ctx.watches.left_alone(&account, Way::Poll).await? {
        return Ok(Done::with(
            json!({ "skipped": "the mailbox is left alone for a while", "until": until, "error": error }),
        ));
    }
    let opener = Opener::Job(ctx.job.id, PollMailbox::TIMEOUT + LEFT_OPEN);
    if !ctx.watches.open(&account, opener, ctx.mailbox_connections).await? {
        let why = format!("{} connections to the mailbox are open", ctx.mailbox_connections);
        return Err(Stop::snooze(ctx.clock.now() + FULL, why));
    }
    let outcome = connect(planned, ctx, &account).await;
    if let Err(error) = ctx.watches.closed(&account, opener).await {
        tracing::warn!(%error, account.id = %account.id, "a connection is counted until its time is over");
    }
    outcome
}

/// Logs in and reads.
async fn connect(planned: bool, ctx: &Context, account: &Account) -> Outcome {
    let mut login = match ctx.login(account).await {
        Ok(login) => login,
        Err(TokenError::NeedsConsent { reason, .. }) => return Ok(Done::with(json!({ "paused": reason }))),
        Err(error) => return Err(error.into()),
    };
    let mut read = folder::read(ctx, account, &server(ctx, account, &login)).await;
    if let Err(Trouble::Imap(ImapError::LoginRefused { certain: true, .. })) = &read {
        match ctx.login_again(account, &login).await {
            Ok(Some(newer)) => {
                login = newer;
                read = folder::read(ctx, account, &server(ctx, account, &login)).await;
            }
            Ok(None) => {}
            Err(TokenError::NeedsConsent { reason, .. }) => return Ok(Done::with(json!({ "paused": reason }))),
            Err(error) => return Err(error.into()),
        }
    }
    match read {
        Ok(read) => {
            ctx.watches.recovered(account, Way::Poll).await?;
            if read.more {
                Err(Stop::snooze(ctx.clock.now(), "more mail waits in the folder"))
            } else {
                Ok(Done::with(read))
            }
        }
        Err(Trouble::Stop(stop)) => Err(stop),
        // It is no failure to be asked for patience, by a number of connections that others may have used up.
        Err(Trouble::Imap(error @ ImapError::Busy { .. })) => {
            let until = ctx.watches.failed(account, Way::Poll, &error.to_string()).await?;
            if planned {
                return Ok(Done::with(json!({ "waits": error.to_string(), "left_alone_until": until })));
            }
            Err(Stop::snooze(until, error))
        }
        // One refusal may be a server's bad moment; a named reason, or one that stays, is not.
        Err(Trouble::Imap(error @ ImapError::LoginRefused { certain, .. })) if certain || is_last(ctx) => {
            ctx.login_useless(account, &login, &error).await?;
            Ok(Done::with(json!({ "paused": error.to_string() })))
        }
        // A certificate may be renewed a minute later; one that stays wrong needs a person.
        Err(Trouble::Imap(error @ ImapError::Insecure { .. })) if is_last(ctx) => {
            ctx.pause_account(account, &error).await?;
            Ok(Done::with(json!({ "paused": error.to_string() })))
        }
        // It was not called. Only a person helps: with another server, or with `ALLOWED_PRIVATE_NETWORKS`.
        Err(Trouble::Imap(error @ ImapError::Forbidden)) => {
            ctx.pause_account(account, &error).await?;
            Ok(Done::with(json!({ "paused": error.to_string() })))
        }
        // The next planned run is the next attempt; a letter about each of them would help nobody.
        Err(Trouble::Imap(error)) if planned && is_last(ctx) && !matches!(error, ImapError::Unsendable) => {
            let until = ctx.watches.failed(account, Way::Poll, &error.to_string()).await?;
            tracing::warn!(account.id = %account.id, error.class = error.class(), %until, "the mailbox is left alone for a while");
            Ok(Done::with(json!({ "failed": error.to_string(), "left_alone_until": until })))
        }
        Err(Trouble::Imap(error)) => Err(error.into()),
    }
}

fn is_last(ctx: &Context) -> bool {
    ctx.job.attempt >= ctx.job.max_attempts
}

/// Why reading a folder ended early: by the server, or by anything else.
enum Trouble {
    Imap(ImapError),
    Stop(Stop),
}

impl From<ImapError> for Trouble {
    fn from(error: ImapError) -> Self {
        Self::Imap(error)
    }
}

impl From<Stop> for Trouble {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Stop(error.into())
    }
}

/// Where the mailbox is read, and as whom.
pub(crate) fn server(services: &Services, account: &Account, login: &access::Login) -> Login {
    let server = account.imap();
    Login {
        endpoint: server.clone().into(),
        username: server.username,
        credential: login.credential.clone(),
        dialer: services.dialer.clone(),
    }
}
