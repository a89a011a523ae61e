//! A Gmail mailbox with its owner's token: every call renews a token that is refused, once, and then asks the owner.

use chrono::TimeDelta;
use postrider_queue::Stop;
use postrider_shared::accounts::Account;
use postrider_shared::messages::Message;
use secrecy::SecretString;

use crate::access::{AccessToken, TokenError};
use crate::context::Context;
use crate::providers::gmail::{DraftPage, Drafted, Filed, Gmail, GmailError, Letter};

/// A mistake of the operator's is looked at again after this.
const UNSET: TimeDelta = TimeDelta::minutes(1);

/// Why a call was not made, or failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MailboxError {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Gmail(#[from] GmailError),
}

impl From<MailboxError> for Stop {
    fn from(error: MailboxError) -> Self {
        match error {
            MailboxError::Token(error) => error.into(),
            MailboxError::Gmail(error) => error.into(),
        }
    }
}

/// An open mailbox; for one job.
pub(crate) struct GmailMailbox<'a> {
    ctx: &'a Context,
    gmail: &'a Gmail,
    account: &'a Account,
    token: AccessToken,
}

type Answer<T> = Result<T, MailboxError>;

impl<'a> GmailMailbox<'a> {
    /// Gets a token, which needs no call in most cases.
    pub(crate) async fn open(ctx: &'a Context, account: &'a Account) -> Result<Self, Stop> {
        let Some(gmail) = &ctx.gmail else {
            tracing::error!("GOOGLE_CLIENT_ID is not set at this worker: the Gmail API cannot be used");
            return Err(Stop::snooze(ctx.clock.now() + UNSET, "GOOGLE_CLIENT_ID is not set at this worker"));
        };
        let token = ctx.access_tokens.of(account.tenant_id, account.id).await?;
        Ok(Self { ctx, gmail, account, token })
    }

    pub(crate) async fn create_draft(&mut self, raw: &[u8], thread: Option<&str>) -> Answer<Drafted> {
        let gmail = self.gmail;
        self.call(|token| async move { gmail.create_draft(&token, raw, thread).await }).await
    }

    pub(crate) async fn send_draft(&mut self, draft: &str) -> Answer<Filed> {
        let gmail = self.gmail;
        self.call(|token| async move { gmail.send_draft(&token, draft).await }).await
    }

    pub(crate) async fn draft(&mut self, draft: &str) -> Answer<Option<Letter>> {
        let gmail = self.gmail;
        self.call(|token| async move { gmail.draft(&token, draft).await }).await
    }

    pub(crate) async fn delete_draft(&mut self, draft: &str) -> Answer<bool> {
        let gmail = self.gmail;
        self.call(|token| async move { gmail.delete_draft(&token, draft).await }).await
    }

    pub(crate) async fn drafts(&mut self, message_id: Option<&str>, page: Option<&str>) -> Answer<DraftPage> {
        let gmail = self.gmail;
        self.call(|token| async move { gmail.drafts(&token, message_id, page).await }).await
    }

    pub(crate) async fn message(&mut self, id: &str) -> Answer<Option<Letter>> {
        let gmail = self.gmail;
        self.call(|token| async move { gmail.message(&token, id).await }).await
    }

    pub(crate) async fn find(&mut self, message_id: &str) -> Answer<Option<Filed>> {
        let gmail = self.gmail;
        self.call(|token| async move { gmail.find(&token, message_id).await }).await
    }

    /// Looks for a message among those that went out: in its thread, which knows at once, and in the index, which may lag.
    pub(crate) async fn sent(&mut self, message: &Message) -> Answer<Option<Letter>> {
        let ours = message.id.to_string();
        if let Some(thread) = &message.provider_thread_id {
            let gmail = self.gmail;
            let letters = self.call(|token| async move { gmail.thread(&token, thread).await }).await?;
            let found = letters.into_iter().find(|letter| letter.is_sent() && letter.ledger_id() == Some(&ours));
            if found.is_some() {
                return Ok(found);
            }
        }
        let Some(filed) = self.find(&message.rfc_message_id).await? else { return Ok(None) };
        Ok(self.message(&filed.id).await?.filter(Letter::is_sent))
    }

    async fn call<T, F>(&mut self, call: impl Fn(SecretString) -> F) -> Answer<T>
    where
        F: Future<Output = Result<T, GmailError>>,
    {
        match call(self.token.secret.clone()).await {
            Err(GmailError::Unauthorized { .. }) => {}
            answer => return Ok(answer?),
        }
        let (tenant, account) = (self.account.tenant_id, self.account.id);
        self.token = self.ctx.access_tokens.refused(tenant, account, &self.token).await?;
        match call(self.token.secret.clone()).await {
            Err(error @ GmailError::Unauthorized { .. }) => {
                let reason = error.to_string();
                Err(self.ctx.access_tokens.useless(tenant, account, &self.token, &reason).await.into())
            }
            answer => Ok(answer?),
        }
    }
}
