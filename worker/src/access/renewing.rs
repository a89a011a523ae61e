//! Asking Google for a new token, with the row's lease in hand.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use postrider_shared::database::StoreError;
use postrider_shared::google::{Grant, Granted, Renewal, Renewed, TokenSecret};
use postrider_shared::ids::{AccountId, TenantId};
use postrider_shared::scopes::ScopeError;
use postrider_shared::seal::SealError;
use postrider_shared::telemetry::chain;

use super::{AccessToken, AccessTokens, TokenError};
use crate::providers::google::{CALL_TIMEOUT, GoogleError};

/// How long one process may be about a renewal. Longer than the call may take, with room for clocks that differ and a database
/// that takes its time.
const LEASE: Duration = CALL_TIMEOUT.saturating_mul(2);
/// How often a renewed token is tried to be stored, and the first pause between; each is twice as long as the one before.
const STORE_TRIES: u32 = 6;
const FIRST_STORE_PAUSE: Duration = Duration::from_millis(100);
/// How soon to look whether another process has the token.
const FIRST_LOOK: TimeDelta = TimeDelta::milliseconds(250);
/// After a failure of Google's; doubled by every further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(15);
/// After a mistake of the operator's; doubled, too.
const FIRST_OPERATOR_PAUSE: Duration = Duration::from_mins(1);
/// Where a worker itself cannot ask.
const OPERATOR_PAUSE: TimeDelta = TimeDelta::minutes(15);
/// The longest that Google's Retry-After is taken at its word.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);
/// How soon a job goes back to the lane of a stopped account, which is parked by then.
const BACK_TO_LANE: TimeDelta = TimeDelta::seconds(2);

impl AccessTokens {
    pub(super) fn needs_consent(&self, reason: &str) -> TokenError {
        TokenError::NeedsConsent { reason: reason.to_owned(), look_again: self.clock.now() + BACK_TO_LANE }
    }

    /// A renewed token, or until when to stay away.
    pub(super) async fn renew(&self, grant: &Grant) -> Result<AccessToken, TokenError> {
        let now = self.clock.now();
        if let Some(until) = grant.held_until.filter(|until| *until > now) {
            return Err(waiting(grant, now, until));
        }
        let account = (grant.tenant_id, grant.account_id);
        let refresh = match self.grants.open(grant, TokenSecret::Refresh) {
            Ok(Some(refresh)) => refresh,
            Ok(None) => return Err(self.needs_consent("its grant is gone")),
            // The value is not what was stored there: only a new consent mends that.
            Err(error @ (SealError::Malformed | SealError::Refused)) => {
                tracing::error!(account.id = %grant.account_id, %error, "the stored refresh token does not open");
                let reason = format!("its stored token cannot be used: {error}");
                self.end(account, grant.version, &reason).await?;
                return Err(self.needs_consent(&reason));
            }
            Err(error @ (SealError::UnknownKey(_) | SealError::NoKeys | SealError::Unlisted(_))) => {
                tracing::error!(account.id = %grant.account_id, %error, "the stored refresh token does not open");
                return Err(TokenError::Waiting { until: now + OPERATOR_PAUSE, reason: error.to_string() });
            }
        };
        let Some(google) = &self.google else {
            let reason = "GOOGLE_CLIENT_ID is not set at this worker".to_owned();
            tracing::error!(account.id = %grant.account_id, reason, "the access token cannot be renewed");
            return Err(TokenError::Waiting { until: now + OPERATOR_PAUSE, reason });
        };
        let Some(renewal) = self.grants.begin(grant, now + LEASE).await? else {
            return Err(TokenError::Waiting {
                until: now + FIRST_LOOK,
                reason: "another process renews it".to_owned(),
            });
        };
        let granted = match google.refresh(&refresh).await {
            Ok(granted) => granted,
            Err(error) => return Err(self.failed(&renewal, grant, error).await?),
        };
        metrics::counter!("postrider_google_renewals_total", "outcome" => "renewed").increment(1);
        match self.store(&renewal, &granted).await? {
            Renewed::Stored { version } => Ok(AccessToken::new(granted.access, (now, granted.expires_at), version)),
            Renewed::Overtaken => {
                Err(TokenError::Waiting { until: now, reason: "the account has another grant by now".to_owned() })
            }
        }
    }

    /// Stores what Google gave, with some patience for the database: nobody is given it a second time, and where the refresh token was
    /// replaced, the old one may open nothing any more.
    async fn store(&self, renewal: &Renewal, granted: &Granted) -> Result<Renewed, StoreError> {
        let mut pause = FIRST_STORE_PAUSE;
        for _ in 1..STORE_TRIES {
            match self.grants.renewed(renewal, granted).await {
                Err(StoreError::Seal(error)) => return Err(error.into()),
                Err(error) => {
                    let error = chain(&error);
                    tracing::warn!(account.id = %renewal.account, error, "a renewed access token is not stored yet");
                }
                stored => return stored,
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.grants.renewed(renewal, granted).await
    }

    /// What a failed renewal means; only the row decides, so that every process stays away as long.
    async fn failed(&self, renewal: &Renewal, grant: &Grant, error: GoogleError) -> Result<TokenError, TokenError> {
        metrics::counter!("postrider_google_renewals_total", "outcome" => outcome(&error)).increment(1);
        let now = self.clock.now();
        let pause = match &error {
            GoogleError::InvalidGrant { .. } => {
                let reason = error.to_string();
                self.end((renewal.tenant, renewal.account), grant.version, &reason).await?;
                return Ok(self.needs_consent(&reason));
            }
            GoogleError::Misconfigured { .. } => {
                tracing::error!(%error, "Google accounts cannot log in: check GOOGLE_CLIENT_ID and its secret");
                pause(FIRST_OPERATOR_PAUSE, None, renewal.failures)
            }
            GoogleError::RateLimited { .. }
            | GoogleError::Server { .. }
            | GoogleError::Network { .. }
            | GoogleError::Timeout
            | GoogleError::Unauthorized { .. }
            | GoogleError::Rejected { .. }
            | GoogleError::Malformed { .. } => {
                tracing::warn!(account.id = %grant.account_id, %error, "the access token could not be renewed");
                pause(FIRST_PAUSE, error.retry_after(), renewal.failures)
            }
        };
        let (until, reason) = (now + pause, error.to_string());
        self.grants.postponed(renewal, until, &reason).await?;
        Ok(TokenError::Waiting { until, reason })
    }

    /// The grant is of no use any more: the account waits for its owner, and what it should send waits in its lanes.
    pub(super) async fn end(
        &self,
        account: (TenantId, AccountId),
        version: i64,
        reason: &str,
    ) -> Result<(), TokenError> {
        let Some(paused) = self.grants.revoked(account, version, reason).await? else { return Ok(()) };
        tracing::error!(account.id = %paused.id, "mailbox stopped until its owner consents again");
        metrics::counter!("postrider_accounts_needing_consent_total").increment(1);
        match self.scopes.define(&paused).await {
            Ok(()) => Ok(()),
            Err(ScopeError::Store(error)) => Err(error.into()),
            // The row says it all; the scheduler tells the queue when that is back.
            Err(ScopeError::Queue(error)) => {
                tracing::warn!(account.id = %paused.id, %error, "the pause is not told to the queue yet");
                Ok(())
            }
        }
    }
}

/// Somebody has the lease, or Google asked for patience. A renewal that takes long is looked at more and more rarely, so that no
/// job uses up its snoozes on a process that died.
fn waiting(grant: &Grant, now: DateTime<Utc>, until: DateTime<Utc>) -> TokenError {
    if !grant.is_held() {
        let reason = grant.problem.clone().unwrap_or_else(|| "Google asked for patience".to_owned());
        return TokenError::Waiting { until, reason };
    }
    let since = grant.held_from.map_or(FIRST_LOOK, |from| (now - from).max(FIRST_LOOK));
    TokenError::Waiting { until: until.min(now + since), reason: "another process renews it".to_owned() }
}

/// What Google asked for, or twice as long as the last time.
fn pause(first: Duration, retry_after: Option<Duration>, failures: u32) -> TimeDelta {
    let grown = first.saturating_mul(2_u32.saturating_pow(failures.min(16))).min(LONGEST_PAUSE);
    let asked = retry_after.map_or(grown, |asked| asked.min(LONGEST_RETRY_AFTER).max(FIRST_PAUSE));
    TimeDelta::from_std(asked).unwrap_or(OPERATOR_PAUSE)
}

fn outcome(error: &GoogleError) -> &'static str {
    match error {
        GoogleError::InvalidGrant { .. } => "invalid_grant",
        GoogleError::Misconfigured { .. } => "misconfigured",
        GoogleError::RateLimited { .. } => "rate_limited",
        GoogleError::Server { .. }
        | GoogleError::Network { .. }
        | GoogleError::Timeout
        | GoogleError::Unauthorized { .. }
        | GoogleError::Rejected { .. }
        | GoogleError::Malformed { .. } => "failed",
    }
}
