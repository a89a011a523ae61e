//! How an attempt ends: first in the ledger, then for the queue.

use std::fmt::Display;
use std::time::Duration;

use chrono::TimeDelta;
use postrider_queue::{CapUse, Outcome, Stop};
use postrider_shared::accounts::Account;
use postrider_shared::database::StoreError;
use postrider_shared::ids::TenantId;
use postrider_shared::mail::Settled;
use postrider_shared::messages::{Fence, Message, Verdict};
use postrider_shared::telemetry::chain;

use super::settled;
use crate::access::Login;
use crate::context::Context;
use crate::providers::smtp::{Receipt, SmtpError};

/// What the ledger says of a message that goes out is worth some patience with the database: each try waits twice as long.
const TRIES: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Providers count sends over a moving day and do not say when it is over.
pub(super) const PROVIDER_LIMIT: TimeDelta = TimeDelta::hours(24);
/// How often a connection that cannot be trusted is tried before the mailbox is paused: as often as a poll does.
pub(super) const INSECURE_TRIES: u32 = 3;

/// An open attempt at a message.
pub(super) struct Attempt<'a> {
    pub(super) ctx: &'a Context,
    pub(super) tenant: TenantId,
    pub(super) account: &'a Account,
    pub(super) message: &'a Message,
    pub(super) number: u32,
}

impl Attempt<'_> {
    /// Notes what the server did, and says what that means for the job.
    pub(super) async fn finish(self, sent: Result<Receipt, SmtpError>, login: &Login) -> Outcome {
        let now = self.ctx.clock.now();
        match sent {
            Ok(receipt) => {
                let provider_id = Some(receipt.response).filter(|text| !text.is_empty());
                let message = self.settle(Verdict::Accepted { at: now, provider_id }).await?;
                tracing::info!(message.id = %message.id, "accepted by the mail server");
                Ok(settled(self.ctx, &message).cap(CapUse::Used(now)))
            }
            Err(SmtpError::Ambiguous { detail }) => {
                tracing::error!(message.id = %self.message.id, detail, "in doubt: the answer after the last byte was lost");
                metrics::counter!("postrider_messages_in_doubt_total").increment(1);
                Ok(settled(self.ctx, &self.settle(Verdict::Unknown { reason: detail }).await?).cap(CapUse::Unknown))
            }
            Err(error @ SmtpError::Insecure { .. }) if self.ctx.job.attempt < INSECURE_TRIES => {
                self.end(refused(&error), Err(error.into())).await
            }
            Err(error @ SmtpError::LoginRefused { .. }) => {
                self.ctx.login_useless(self.account, login, &error).await?;
                let stop = Stop::snooze(super::look_again(self.ctx), &error).with_cap(CapUse::NotUsed);
                self.end(refused(&error), Err(stop)).await
            }
            Err(error @ (SmtpError::Insecure { .. } | SmtpError::Forbidden)) => {
                self.ctx.pause_account(self.account, &error).await?;
                let stop = Stop::snooze(super::look_again(self.ctx), &error).with_cap(CapUse::NotUsed);
                self.end(refused(&error), Err(stop)).await
            }
            Err(error @ SmtpError::DailyLimit { .. }) => {
                // The ledger first: the message was refused, whatever becomes of the scope.
                self.settle(refused(&error)).await?;
                self.ctx.limit_account(self.account, now + PROVIDER_LIMIT, &error).await?;
                // Back into its lane, which is parked now with all the others.
                Err(Stop::snooze(now, &error).with_cap(CapUse::NotUsed))
            }
            Err(error @ (SmtpError::Refused { .. } | SmtpError::Unsendable { .. })) => {
                self.end(Verdict::Failed { reason: error.to_string() }, Err(error.into())).await
            }
            Err(
                error @ (SmtpError::Deferred { .. }
                | SmtpError::Network { .. }
                | SmtpError::Timeout { .. }
                | SmtpError::Overtaken),
            ) => self.end(self.unsent(&error), Err(error.into())).await,
        }
    }

    /// Notes a verdict and ends the job with the given outcome.
    pub(super) async fn end(&self, verdict: Verdict, outcome: Outcome) -> Outcome {
        self.settle(verdict).await?;
        outcome
    }

    /// Notes a verdict. What happened stays charged also if the ledger does not take it: the queue must not give away a unit that
    /// was used because the database is away.
    pub(super) async fn settle(&self, verdict: Verdict) -> Result<Message, Stop> {
        let cap = cap_of(&verdict);
        self.try_for_long(|| self.try_settle(verdict.clone())).await.map_err(|error| Stop::from(error).with_cap(cap))
    }

    /// What an attempt that handed nothing over is noted as.
    pub(super) fn unsent(&self, why: &impl Display) -> Verdict {
        let (reason, last) = (why.to_string(), self.ctx.job.attempt >= self.ctx.job.max_attempts);
        if last { Verdict::GivenUp { reason } } else { Verdict::Refused { reason } }
    }

    /// Asks for the point of no return; see [`Messages::data_starting`](postrider_shared::messages::Messages::data_starting). An
    /// answer that is lost leaves no doubt: nobody but this run has the attempt, and it has sent nothing, so it asks again.
    pub(super) async fn data_starting(&self) -> Result<Fence, StoreError> {
        let ask = || self.ctx.messages.data_starting(self.tenant, self.message.id, self.number);
        self.try_for_long(ask).await
    }

    /// Notes that its draft was deleted before anybody sent it: only the ledger tells that from one that was sent.
    pub(super) async fn draft_taken_back(&self, draft: &str) -> Result<(), StoreError> {
        let note = || self.ctx.messages.draft_taken_back(self.tenant, self.message.id, self.number, draft);
        self.try_for_long(note).await
    }

    async fn try_for_long<T, F>(&self, step: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut pause = FIRST_PAUSE;
        for _ in 1..TRIES {
            match step().await {
                Err(error) if error.is_transient() || matches!(error, StoreError::Conflict { .. }) => {
                    let error = chain(&error);
                    tracing::warn!(error, message.id = %self.message.id, "the ledger does not answer yet");
                }
                done => return done,
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        step().await
    }

    async fn try_settle(&self, verdict: Verdict) -> Result<Message, StoreError> {
        match self.ctx.messages.settle(self.tenant, self.message.id, self.number, verdict).await? {
            Settled::Now(message) | Settled::Before(message) => Ok(message),
        }
    }
}

/// What an attempt that ended so used.
fn cap_of(verdict: &Verdict) -> CapUse {
    match verdict {
        Verdict::Accepted { at, .. } => CapUse::Used(*at),
        Verdict::Unknown { .. } => CapUse::Unknown,
        Verdict::Refused { .. } | Verdict::GivenUp { .. } | Verdict::Failed { .. } => CapUse::NotUsed,
    }
}

fn refused(error: &SmtpError) -> Verdict {
    Verdict::Refused { reason: error.to_string() }
}
