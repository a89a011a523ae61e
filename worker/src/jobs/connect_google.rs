//! From an owner's consent to a mailbox that is read and sent from.

use chrono::TimeDelta;
use postrider_queue::{Done, Outcome, Stop};
use postrider_shared::accounts::{Account, identity_of};
use postrider_shared::database::AllTenants;
use postrider_shared::google::{Consent, ConsentState, Granted};
use postrider_shared::jobs::{ConnectGoogle, PollMailbox};
use secrecy::SecretString;
use serde_json::json;

use crate::context::Context;
use crate::providers::google::{Google, GoogleError};
use crate::registry::Handler;

/// How long Google takes a code after it was given.
const CODE_LIFE: TimeDelta = TimeDelta::minutes(10);
/// How soon to see whether an operator has mended the settings, while a code gets older.
const OPERATOR_PAUSE: TimeDelta = TimeDelta::seconds(15);

/// What reads mail over IMAP, sends it over SMTP, and does both over the Gmail API.
const SCOPE: &str = "https://mail.google.com/";

impl Handler for ConnectGoogle {
    async fn run(self, ctx: &Context) -> Outcome {
        let tenant = ctx.tenant()?;
        let Some(consent) = ctx.consents.get(tenant, self.consent_id).await? else {
            return Ok(Done::with(json!({ "skipped": "a newer consent was asked for" })));
        };
        let Some(account) = ctx.accounts.if_connected(tenant, consent.account_id).await? else {
            return Ok(Done::with(json!({ "skipped": "the mailbox was disconnected" })));
        };
        let google = ctx.google()?;
        let (granted, refresh) = match consent.state {
            ConsentState::Answered => match exchange(ctx, google, &consent).await? {
                Ok(tokens) => tokens,
                Err(reason) => return failed(ctx, &consent, &reason).await,
            },
            // An earlier run ended after the exchange, whose code works once.
            ConsentState::Exchanged => {
                let refresh = ctx.consents.refresh_token(&consent)?;
                match google.refresh(&refresh).await {
                    Ok(granted) => (granted, refresh),
                    Err(error) => return useless(ctx, &consent, error).await,
                }
            }
            ConsentState::Open | ConsentState::Completed | ConsentState::Denied | ConsentState::Failed => {
                return Ok(Done::with(json!({ "skipped": "the consent was settled before" })));
            }
        };
        let Some(consent) = ctx.consents.get(tenant, consent.id).await? else {
            return Ok(Done::with(json!({ "skipped": "a newer consent was asked for" })));
        };
        let profile = match google.profile(&granted.access).await {
            Ok(profile) => profile,
            Err(error) => return useless(ctx, &consent, error).await,
        };
        if identity_of(&profile.email_address) != account.identity {
            give_back(ctx, google, &account, &identity_of(&profile.email_address), &refresh).await?;
            let reason = format!("{} consented, but {} is to be connected", profile.email_address, account.address);
            return failed(ctx, &consent, &reason).await;
        }
        let granted = Granted { refresh: Some(granted.refresh.unwrap_or(refresh)), ..granted };
        let Some(account) = ctx.consents.completed(&consent, &granted).await? else {
            return Ok(Done::with(json!({ "skipped": "the mailbox was disconnected" })));
        };
        tracing::info!(account.id = %account.id, "the mailbox of a Google account is connected");
        ctx.define_scope(&account).await?;
        let poll = PollMailbox { account_id: account.id, planned_at: None };
        let poll = ctx.follow_up(&poll, &["first_poll", &consent.id.to_string()])?;
        Ok(Done::with(json!({ "connected": account.id })).then(poll))
    }
}

/// Tokens for the code, with the refresh token kept; or why the consent is of no use.
async fn exchange(
    ctx: &Context,
    google: &Google,
    consent: &Consent,
) -> Result<Result<(Granted, SecretString), String>, Stop> {
    let (code, verifier) = ctx.consents.code(consent)?;
    let exchanged = match google.exchange(&code, &verifier).await {
        Ok(exchanged) => exchanged,
        Err(error) => return is_final(ctx, error).map(Err),
    };
    let Some(refresh) = exchanged.granted.refresh.clone() else {
        return Ok(Err("Google gave no refresh token; remove our access at Google, then consent again".to_owned()));
    };
    ctx.consents.exchanged(consent, &refresh).await?;
    if !exchanged.scopes.is_empty() && !exchanged.scopes.iter().any(|scope| scope == SCOPE) {
        return Ok(Err("the consent does not include reading and sending the mailbox's mail".to_owned()));
    }
    Ok(Ok((exchanged.granted, refresh)))
}

async fn useless(ctx: &Context, consent: &Consent, error: GoogleError) -> Outcome {
    let reason = is_final(ctx, error)?;
    failed(ctx, consent, &reason).await
}

/// Why the consent will never be of use; or when to try again.
fn is_final(ctx: &Context, error: GoogleError) -> Result<String, Stop> {
    let last = ctx.job.attempt >= ctx.job.max_attempts;
    match error {
        GoogleError::InvalidGrant { .. } | GoogleError::Unauthorized { .. } | GoogleError::Rejected { .. } => {
            Ok(error.to_string())
        }
        // No fault of the owner's, and a code that was not taken is good for another try.
        GoogleError::Misconfigured { .. } => {
            let next = ctx.clock.now() + OPERATOR_PAUSE;
            if next < ctx.job.enqueued_at + CODE_LIFE {
                tracing::error!(%error, "a Google account cannot be connected: check GOOGLE_CLIENT_ID and its secret");
                return Err(Stop::snooze(next, error));
            }
            Ok(format!("{error}. An operator has to mend GOOGLE_CLIENT_ID and its secret; then consent again"))
        }
        GoogleError::RateLimited { .. }
        | GoogleError::Server { .. }
        | GoogleError::Network { .. }
        | GoogleError::Timeout
        | GoogleError::Malformed { .. }
            if last =>
        {
            Ok(error.to_string())
        }
        GoogleError::RateLimited { retry_after: Some(wait), .. }
        | GoogleError::Server { retry_after: Some(wait), .. } => Err(Stop::retry_after(error, wait)),
        GoogleError::RateLimited { .. }
        | GoogleError::Server { .. }
        | GoogleError::Network { .. }
        | GoogleError::Timeout
        | GoogleError::Malformed { .. } => Err(Stop::retry(error)),
    }
}

async fn failed(ctx: &Context, consent: &Consent, reason: &str) -> Outcome {
    // Why is for the account's history: it may name addresses.
    tracing::warn!(account.id = %consent.account_id, "a consent came to nothing");
    // The exchange may have taken it a step further.
    let now = ctx.consents.get(consent.tenant_id, consent.id).await?;
    ctx.consents.failed(now.as_ref().unwrap_or(consent), reason).await?;
    Ok(Done::with(json!({ "failed": reason })))
}

/// Somebody else's grant is not kept. It is one for all connections of that mailbox, so it stays if there are any.
async fn give_back(
    ctx: &Context,
    google: &Google,
    account: &Account,
    identity: &str,
    refresh: &SecretString,
) -> Result<(), Stop> {
    if ctx.accounts.other_google_connections(AllTenants, identity, account.id).await? == 0
        && let Err(error) = google.revoke(refresh).await
    {
        tracing::warn!(account.id = %account.id, %error, "a grant of another mailbox could not be given back");
    }
    Ok(())
}
