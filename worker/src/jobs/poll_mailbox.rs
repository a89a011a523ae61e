//! Fetches new mail of one mailbox. Each message is recorded in a transaction of its own together with the place in
//! the folder, so that a run that is cut off anywhere goes on where it was.

mod folder;
mod message;

pub(crate) use self::folder::FOLDER;
use postrider_queue::{Done, Outcome, Stop};
use postrider_shared::accounts::Account;
use postrider_shared::database::StoreError;
use postrider_shared::jobs::PollMailbox;
use serde_json::json;

use crate::context::{Context, Services};
use crate::providers::imap::{ImapError, Login};
use crate::registry::Handler;

impl Handler for PollMailbox {
    async fn run(self, ctx: &Context) -> Outcome {
        let tenant = ctx.tenant()?;
        let Some(account) = ctx.accounts.if_connected(tenant, self.account_id).await? else {
            return Ok(Done::with(json!({ "skipped": "the mailbox was disconnected" })));
        };
        if !account.is_active() || !ctx.tenants.get(tenant).await?.is_active() {
            return Ok(Done::with(json!({ "skipped": "the mailbox is paused" })));
        }
        match folder::read(ctx, &account, &login(ctx, &account)?).await {
            Ok(read) if read.more => Err(Stop::snooze(ctx.clock.now(), "more mail waits in the folder")),
            Ok(read) => Ok(Done::with(read)),
            Err(Trouble::Stop(stop)) => Err(stop),
            // One refusal may be a server's bad moment; a named reason, or one that stays, is not.
            Err(Trouble::Imap(error @ ImapError::LoginRefused { certain, .. }))
                if certain || ctx.job.attempt >= ctx.job.max_attempts =>
            {
                ctx.pause_account(&account, &error.to_string()).await?;
                Ok(Done::with(json!({ "paused": error.to_string() })))
            }
            // A certificate may be renewed a minute later; one that stays wrong needs a person.
            Err(Trouble::Imap(error @ ImapError::Insecure { .. })) if ctx.job.attempt >= ctx.job.max_attempts => {
                ctx.pause_account(&account, &error.to_string()).await?;
                Ok(Done::with(json!({ "paused": error.to_string() })))
            }
            Err(Trouble::Imap(error)) => Err(error.into()),
        }
    }
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

/// How the mailbox is logged in to.
pub(crate) fn login(services: &Services, account: &Account) -> Result<Login, Stop> {
    let server = account.imap();
    Ok(Login {
        endpoint: server.clone().into(),
        username: server.username,
        password: services.accounts.password(account)?,
        dialer: services.dialer.clone(),
    })
}
