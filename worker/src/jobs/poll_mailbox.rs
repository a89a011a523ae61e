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

use crate::access::{self, TokenError};
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
        let mut login = match ctx.login(&account).await {
            Ok(login) => login,
            Err(TokenError::NeedsConsent { reason, .. }) => return Ok(Done::with(json!({ "paused": reason }))),
            Err(error) => return Err(error.into()),
        };
        let mut read = folder::read(ctx, &account, &server(ctx, &account, &login)).await;
        if let Err(Trouble::Imap(ImapError::LoginRefused { certain: true, .. })) = &read {
            match ctx.login_again(&account, &login).await {
                Ok(Some(newer)) => {
                    login = newer;
                    read = folder::read(ctx, &account, &server(ctx, &account, &login)).await;
                }
                Ok(None) => {}
                Err(TokenError::NeedsConsent { reason, .. }) => return Ok(Done::with(json!({ "paused": reason }))),
                Err(error) => return Err(error.into()),
            }
        }
        match read {
            Ok(read) if read.more => Err(Stop::snooze(ctx.clock.now(), "more mail waits in the folder")),
            Ok(read) => Ok(Done::with(read)),
            Err(Trouble::Stop(stop)) => Err(stop),
            // One refusal may be a server's bad moment; a named reason, or one that stays, is not.
            Err(Trouble::Imap(error @ ImapError::LoginRefused { certain, .. }))
                if certain || ctx.job.attempt >= ctx.job.max_attempts =>
            {
                ctx.login_useless(&account, &login, &error.to_string()).await?;
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
