//! What a failed fetch means: always that the next one may do better.

use crate::providers::network::{self, BodyError};

/// Why an issuer's keys could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OidcError {
    #[error("the issuer's URL is none")]
    Url,
    #[error("the issuer says that it is another one")]
    AnotherIssuer,
    #[error(
        "the issuer's keys are to lie where we do not call: not behind TLS, or in a network that this installation does not allow"
    )]
    Forbidden,
    #[error("the issuer answered with status {status}")]
    Refused { status: u16 },
    #[error("the issuer did not answer in time")]
    Timeout,
    #[error("the issuer cannot be reached: {detail}")]
    Network { detail: String },
    #[error("the issuer's answer is not what it should be: {detail}")]
    Malformed { detail: &'static str },
}

impl OidcError {
    pub(super) fn network(error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::Timeout;
        }
        Self::Network { detail: network::innermost(error) }
    }
}

impl From<BodyError> for OidcError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLong { .. } => Self::Malformed { detail: "it is too long" },
            BodyError::Lost(error) => Self::network(&error),
        }
    }
}
