//! Why there is no token, and what that means for the job that wanted one: never a burnt attempt.

use chrono::{DateTime, Utc};
use postrider_queue::{CapUse, QueueError, Stop};
use postrider_shared::database::StoreError;

/// Why an account has no access token now.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The account is stopped until its owner consents (again). Its messages wait in their lanes; `look_again` only says when a
    /// job goes back to its lane.
    #[error("the account waits for its owner's consent: {reason}")]
    NeedsConsent { reason: String, look_again: DateTime<Utc> },
    /// Somebody else renews the token, or Google is not to be asked before then.
    #[error("the access token cannot be renewed yet: {reason}")]
    Waiting { until: DateTime<Utc>, reason: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl From<TokenError> for Stop {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::NeedsConsent { look_again, .. } => Self::snooze(look_again, error).with_cap(CapUse::NotUsed),
            TokenError::Waiting { until, .. } => Self::snooze(until, error).with_cap(CapUse::NotUsed),
            TokenError::Store(error) => error.into(),
            TokenError::Queue(error) => error.into(),
        }
    }
}
