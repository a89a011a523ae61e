//! What an account logs in with: its password, or its access token.

use postrider_queue::Stop;
use postrider_shared::accounts::{Account, LoginMethod};

use super::{AccessToken, TokenError};
use crate::context::{Context, Services};
use crate::providers::Classed;
use crate::providers::credential::Credential;

/// A credential, and the token behind it, if it is one.
#[derive(Debug, Clone)]
pub struct Login {
    pub credential: Credential,
    token: Option<AccessToken>,
}

impl Login {
    fn with(token: AccessToken) -> Self {
        Self { credential: Credential::Bearer(token.secret.clone()), token: Some(token) }
    }
}

impl Services {
    /// What the account logs in with now.
    pub async fn login(&self, account: &Account) -> Result<Login, TokenError> {
        match account.login {
            LoginMethod::Password => Ok(Login { credential: self.accounts.password(account)?.into(), token: None }),
            LoginMethod::Google => Ok(Login::with(self.access_tokens.of(account.tenant_id, account.id).await?)),
        }
    }

    /// Another way to log in after a server refused this one: a newer token. None for a password.
    pub async fn login_again(&self, account: &Account, refused: &Login) -> Result<Option<Login>, TokenError> {
        let Some(token) = &refused.token else { return Ok(None) };
        let newer = self.access_tokens.refused(account.tenant_id, account.id, token).await?;
        Ok(Some(Login::with(newer)))
    }
}

impl Context {
    /// Stops an account whose login is refused for good: a password until a person resumes it, a token (this one was renewed just
    /// before) until its owner consents again.
    pub async fn login_useless(&self, account: &Account, login: &Login, error: &impl Classed) -> Result<(), Stop> {
        let Some(token) = &login.token else { return self.pause_account(account, error).await };
        match self.access_tokens.useless(account.tenant_id, account.id, token, &error.to_string()).await {
            TokenError::NeedsConsent { .. } => Ok(()),
            error @ (TokenError::Waiting { .. } | TokenError::Store(_) | TokenError::Queue(_)) => Err(error.into()),
        }
    }
}
