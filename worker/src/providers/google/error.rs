//! What a failed call to Google means.

use std::time::Duration;

use crate::providers::network::{self, BodyError};

/// Why Google did not do what it was asked. Details are Google's own words; no token is ever in them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GoogleError {
    /// `invalid_grant`: the owner, an administrator or time took the grant (or a code) away. Asking again never helps.
    #[error("Google says that the grant is not valid (any more): {detail}")]
    InvalidGrant { detail: String },
    /// `invalid_client` and the like: `GOOGLE_CLIENT_ID` or its secret is wrong. No account is to blame.
    #[error("Google does not accept this installation's OAuth client: {detail}")]
    Misconfigured { detail: String },
    /// 401 to a token that was to be good.
    #[error("Google does not accept the access token: {detail}")]
    Unauthorized { detail: String },
    #[error("Google limits the rate of calls: {detail}")]
    RateLimited { retry_after: Option<Duration>, detail: String },
    #[error("Google failed (status {status}): {detail}")]
    Server { status: u16, retry_after: Option<Duration>, detail: String },
    #[error("Google cannot be reached: {detail}")]
    Network { detail: String },
    #[error("Google did not answer in time")]
    Timeout,
    /// A refusal that asking again does not change.
    #[error("Google refuses the request (status {status}): {detail}")]
    Rejected { status: u16, detail: String },
    #[error("Google's answer is not what it should be: {detail}")]
    Malformed { detail: String },
}

impl GoogleError {
    pub(super) fn network(error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::Timeout;
        }
        Self::Network { detail: network::innermost(error) }
    }

    /// How long Google asked to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::Server { retry_after, .. } => *retry_after,
            Self::InvalidGrant { .. }
            | Self::Misconfigured { .. }
            | Self::Unauthorized { .. }
            | Self::Network { .. }
            | Self::Timeout
            | Self::Rejected { .. }
            | Self::Malformed { .. } => None,
        }
    }
}

impl From<BodyError> for GoogleError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLong { .. } => Self::Malformed { detail: error.to_string() },
            BodyError::Lost(error) => Self::network(&error),
        }
    }
}
