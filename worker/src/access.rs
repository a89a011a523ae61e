//! The access tokens of Google accounts: asked for by whoever logs in, renewed shortly before they expire, once.
//!
//! Three places hold a token: the memory of a process, the account's row (sealed), and Google. A process asks the row once per
//! token, and Google only with the row's lease in hand (see [`Grants`]), so that any number of jobs in any number of processes
//! make one call for one expiry. A process that dies with the lease is waited for until it ends; then one other asks.
//! Whoever cannot have a token now is told until when to stay away: nobody waits here for another process.

mod error;
mod held;
mod login;
mod renewing;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use postrider_shared::clock::Clock;
use postrider_shared::google::{Grant, Grants, TokenSecret};
use postrider_shared::ids::{AccountId, TenantId};
use postrider_shared::scopes::Scopes;
use secrecy::SecretString;

pub use self::error::TokenError;
use self::held::Held;
pub use self::login::Login;
use crate::providers::google::Google;

/// A token is renewed when it is good for less than this: a login and a message begun with it must end with it.
const MARGIN: TimeDelta = TimeDelta::minutes(5);
/// Google's tokens live an hour. Of shorter ones at most this part is given up as margin.
const MARGIN_PART: i32 = 10;

/// A token that opens a mailbox.
#[derive(Debug, Clone)]
pub struct AccessToken {
    pub secret: SecretString,
    pub expires_at: DateTime<Utc>,
    /// Which of the account's tokens it is; a later one has a higher number.
    version: i64,
    /// From when on it is to be renewed.
    renew_at: DateTime<Utc>,
}

/// Hands out access tokens. Cheap to clone; clones share what is held in memory.
#[derive(Clone)]
pub struct AccessTokens {
    grants: Grants,
    scopes: Scopes,
    google: Option<Arc<Google>>,
    held: Arc<Held>,
    clock: Clock,
}

impl AccessTokens {
    /// Without `google`, installations without Google accounts: every token that would have to be renewed waits for an operator.
    pub fn new(grants: Grants, scopes: Scopes, google: Option<Arc<Google>>, clock: Clock) -> Self {
        Self { grants, scopes, google, held: Arc::default(), clock }
    }

    /// A token that is good now and for some minutes.
    pub async fn of(&self, tenant: TenantId, account: AccountId) -> Result<AccessToken, TokenError> {
        let slot = self.held.slot(tenant, account);
        // Held over the call to Google: the other jobs of this process wait for its answer instead of asking themselves.
        let mut held = slot.lock().await;
        let now = self.clock.now();
        if let Some(token) = held.as_ref().filter(|token| now < token.renew_at) {
            return Ok(token.clone());
        }
        *held = None;
        let grant = self.grant(tenant, account).await?;
        let token = match self.stored(&grant).filter(|token| now < token.renew_at) {
            Some(token) => token,
            None => self.renew(&grant).await?,
        };
        *held = Some(token.clone());
        Ok(token)
    }

    /// Another token than this one, which a server refused although it should have been good: the newer one that somebody has
    /// got meanwhile, or a renewed one.
    pub async fn refused(
        &self,
        tenant: TenantId,
        account: AccountId,
        token: &AccessToken,
    ) -> Result<AccessToken, TokenError> {
        let slot = self.held.slot(tenant, account);
        let mut held = slot.lock().await;
        if let Some(newer) = held.as_ref().filter(|held| held.version > token.version) {
            return Ok(newer.clone());
        }
        *held = None;
        let grant = self.grant(tenant, account).await?;
        let newer = self.stored(&grant).filter(|stored| stored.version > token.version);
        let token = match newer.filter(|newer| self.clock.now() < newer.renew_at) {
            Some(newer) => newer,
            None => self.renew(&grant).await?,
        };
        *held = Some(token.clone());
        Ok(token)
    }

    /// Stops the account until its owner consents again, because a server refuses even a token that was just renewed. Nothing
    /// happens if the account has another token by now.
    pub async fn useless(&self, tenant: TenantId, account: AccountId, token: &AccessToken, reason: &str) -> TokenError {
        let ended = self.end((tenant, account), token.version, reason).await;
        ended.err().unwrap_or_else(|| self.needs_consent(reason))
    }

    async fn grant(&self, tenant: TenantId, account: AccountId) -> Result<Grant, TokenError> {
        match self.grants.get(tenant, account).await? {
            Some(grant) if grant.is_standing() => Ok(grant),
            Some(grant) => {
                let reason = grant.problem.as_deref().unwrap_or("its owner has to consent again");
                Err(self.needs_consent(reason))
            }
            None => Err(self.needs_consent("its owner has not consented yet")),
        }
    }

    /// The token in the row. One that does not open is as good as none: a renewal replaces it.
    fn stored(&self, grant: &Grant) -> Option<AccessToken> {
        let expires_at = grant.access_expires_at?;
        match self.grants.open(grant, TokenSecret::Access) {
            Ok(secret) => Some(AccessToken::new(secret?, (self.begun(grant), expires_at), grant.version)),
            Err(error) => {
                tracing::warn!(account.id = %grant.account_id, %error, "the stored access token does not open; it is renewed");
                None
            }
        }
    }

    fn begun(&self, grant: &Grant) -> DateTime<Utc> {
        grant.refreshed_at.unwrap_or(grant.granted_at).min(self.clock.now())
    }
}

impl AccessToken {
    fn new(secret: SecretString, (begun, expires_at): (DateTime<Utc>, DateTime<Utc>), version: i64) -> Self {
        let margin = MARGIN.min((expires_at - begun).max(TimeDelta::zero()) / MARGIN_PART);
        Self { secret, expires_at, version, renew_at: expires_at - margin }
    }
}
