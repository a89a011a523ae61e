//! Google's OAuth endpoints: tokens for a consent, renewed, and given back; and the question whose mailbox a token opens.
//!
//! No retries and no waiting here: an error says what it means and, where Google says so, how long to stay away.

mod answer;
mod error;

use std::time::Duration;

use bytes::Bytes;
use chrono::TimeDelta;
use postrider_shared::clock::Clock;
use postrider_shared::config::GoogleConfig;
use postrider_shared::google::Granted;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

pub use self::error::GoogleError;
use super::network;
use super::told::Told;
use super::transport::Trust;

/// For one whole call. A renewal's lease is longer, so that a call that is given up is over.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Answers have some 2 kB.
const MAX_BODY: usize = 256 * 1024;
/// When Google does not say how long a token is good for.
const USUAL_LIFE_SECONDS: i64 = 3_600;
/// The fields of a form that nobody is to read in an answer.
const SECRETS: [&str; 5] = ["client_secret", "refresh_token", "code", "code_verifier", "token"];

/// Google's OAuth endpoints, as one client of theirs. Shared by all jobs of the process.
#[derive(Debug)]
pub struct Google {
    http: reqwest::Client,
    config: GoogleConfig,
    clock: Clock,
}

/// What a consent gave.
#[derive(Debug, Clone, Deserialize)]
struct TokenAnswer {
    access_token: SecretString,
    expires_in: Option<i64>,
    refresh_token: Option<SecretString>,
    scope: Option<String>,
}

/// Whose mailbox a token opens.
#[derive(Debug, Clone, Deserialize)]
pub struct Profile {
    #[serde(rename = "emailAddress")]
    pub email_address: String,
}

/// Tokens and what they are good for.
#[derive(Debug, Clone)]
pub struct Exchanged {
    pub granted: Granted,
    /// The scopes that the owner granted, which may be fewer than were asked for.
    pub scopes: Vec<String>,
}

impl Google {
    /// Fails only if the HTTP client cannot be built.
    pub fn new(config: GoogleConfig, trust: &Trust, clock: Clock) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured((*trust.client_config()).clone())
            .connect_timeout(CALL_TIMEOUT / 2)
            .timeout(CALL_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { http, config, clock })
    }

    /// A new access token for a refresh token.
    pub async fn refresh(&self, refresh: &SecretString) -> Result<Granted, GoogleError> {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh.expose_secret())];
        Ok(self.tokens(&fields).await?.granted)
    }

    /// Tokens for the code of a consent. A code works once.
    pub async fn exchange(&self, code: &SecretString, verifier: &SecretString) -> Result<Exchanged, GoogleError> {
        self.tokens(&[
            ("grant_type", "authorization_code"),
            ("code", code.expose_secret()),
            ("code_verifier", verifier.expose_secret()),
            ("redirect_uri", &self.config.redirect_url),
        ])
        .await
    }

    /// Gives a token back, and with it everything its owner granted us. True if Google knew it.
    pub async fn revoke(&self, token: &SecretString) -> Result<bool, GoogleError> {
        match self.post(&self.config.revoke_url, &[("token", token.expose_secret())]).await {
            Ok(_) => Ok(true),
            Err(GoogleError::Rejected { status: 400, .. } | GoogleError::InvalidGrant { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whose mailbox an access token opens.
    pub async fn profile(&self, access: &SecretString) -> Result<Profile, GoogleError> {
        let url = format!("{}/gmail/v1/users/me/profile", self.config.gmail_url);
        let request = self.http.get(url).bearer_auth(access.expose_secret());
        let body = self.send(request, &Told::secret(access)).await?;
        answer::parse(&body)
    }

    async fn tokens(&self, fields: &[(&str, &str)]) -> Result<Exchanged, GoogleError> {
        let client = [
            ("client_id", self.config.client_id.as_str()),
            ("client_secret", self.config.client_secret.expose_secret()),
        ];
        let body = self.post(&self.config.token_url, &[fields, &client].concat()).await?;
        let answer: TokenAnswer = answer::parse(&body)?;
        let life = answer.expires_in.unwrap_or(USUAL_LIFE_SECONDS).clamp(0, 86_400);
        let granted = Granted {
            access: answer.access_token,
            expires_at: self.clock.now() + TimeDelta::seconds(life),
            refresh: answer.refresh_token,
        };
        let scopes = answer.scope.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        Ok(Exchanged { granted, scopes })
    }

    async fn post(&self, url: &str, fields: &[(&str, &str)]) -> Result<Bytes, GoogleError> {
        let secret = |field: &&(&str, &str)| SECRETS.contains(&field.0);
        let told = Told::secrets(fields.iter().filter(secret).map(|(_, value)| *value));
        let request = self.http.post(url).header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(encode(fields)), &told).await
    }

    async fn send(&self, request: reqwest::RequestBuilder, told: &Told) -> Result<Bytes, GoogleError> {
        let response = request.send().await.map_err(|error| GoogleError::network(&error))?;
        let (status, retry_after) = (response.status(), answer::retry_after(response.headers(), self.clock.now()));
        let body = network::body(response, MAX_BODY).await?;
        if status.is_success() { Ok(body) } else { Err(answer::refused(status.as_u16(), retry_after, &body, told)) }
    }
}

fn encode(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}
