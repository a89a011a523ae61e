//! Scopes: who is limited, and by how much.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::QueueError;

mod calendar;
mod cap;
mod closing;
#[cfg(test)]
mod oracle;
mod rate;
mod state;

pub use calendar::{WINDOW_DAYS, Window, calendar_days};
pub use cap::{CapSpec, CapUnit, CapWindow, RampStep};
pub use closing::{Closing, Defined, Restored};
pub use rate::RateLimit;
pub use state::{CapState, ScopeState};

/// The limits of a scope, replacing what was defined before. What was used so far is kept: higher limits wake lanes at once,
/// lower ones hold at the next claim.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ScopeLimits {
    /// All of them must allow a job; at most [`Self::MAX_CAPS`].
    pub caps: Vec<CapSpec>,
    /// How fast its jobs may start.
    #[serde(default)]
    pub rate: Option<RateLimit>,
    /// How fast its jobs for one [recipient](crate::RecipientKey) may start, each recipient for itself. A job whose recipient has no
    /// room steps aside, and its lane goes on. What a recipient owes is kept as a time, also when this rate is changed.
    #[serde(default)]
    pub recipient_rate: Option<RateLimit>,
    /// How many of its jobs may run at a time, at least one. To allow none, pause the scope.
    #[serde(default)]
    pub in_flight: Option<u32>,
    /// While paused, the scope allows nothing.
    pub paused: bool,
}

/// The end of the year 9999, after which no date is accepted.
fn last_instant() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(253_402_300_799_999).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

impl ScopeLimits {
    /// Caps one scope may have.
    pub const MAX_CAPS: usize = 8;

    /// These caps and nothing else.
    pub fn caps(caps: Vec<CapSpec>) -> Self {
        Self { caps, ..Self::default() }
    }

    pub(crate) fn check(&self) -> Result<(), QueueError> {
        let invalid = |reason: &str| Err(QueueError::invalid("scope limits", reason));
        if self.caps.len() > Self::MAX_CAPS {
            return invalid("more than 8 caps");
        }
        if self.in_flight == Some(0) {
            return invalid("0 jobs in flight; to allow nothing, pause the scope");
        }
        self.rate.iter().chain(&self.recipient_rate).try_for_each(RateLimit::check)?;
        self.caps.iter().try_for_each(CapSpec::check)
    }
}
