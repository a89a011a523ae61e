//! What a scope has given so far.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{CapUnit, Closing};

/// What a scope has given so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeState {
    /// Whether it is paused.
    pub paused: bool,
    /// Closed since; it gives nothing until it is restored and opened.
    pub closed: Option<Closing>,
    /// Its caps, in the order of definition.
    pub caps: Vec<CapState>,
    /// Units reserved by runs that have not ended, and by jobs that wait to be run again after a crash.
    pub reserved: u64,
    /// Its jobs that run now.
    pub in_flight: u64,
    /// Lanes that wait for it.
    pub waiting_lanes: u64,
    /// New recipients, per lane, whose jobs wait for a cap of unique recipients.
    pub waiting_recipients: u64,
}

/// What a cap has given in its current window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapState {
    /// What it counts.
    pub unit: CapUnit,
    /// Units per window, as it holds now.
    pub limit: u64,
    /// The current window; none when windows have run out.
    pub window: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// Units used in it for certain, or in doubt.
    pub used: u64,
}
