//! How many units a scope may give in a window.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Window, rate::LONGEST};
use crate::error::QueueError;

/// At most so many units in each window.
///
/// A claim reserves a unit, a redelivery inherits it, the outcome [settles](crate::CapUse) it. An open reservation counts in
/// every window it may still land in. What was used belongs to the scope, not to the cap: caps may be added, removed and
/// reordered without losing count, but for a moving one that is added: it counts from then on, and what was used before is told
/// by a [restoration](crate::QueueClient::restore_scope).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapSpec {
    /// Units per window; zero allows nothing. More than 2^48 − 1 is no bound at all and counts as that.
    pub limit: u64,
    /// What is counted.
    #[serde(default)]
    pub unit: CapUnit,
    /// What is counted together.
    pub window: CapWindow,
    /// Other limits from given instants on, in time order (a warm-up). A calendar window has the limit of its first instant; a
    /// moving one that of the present.
    pub ramp: Vec<RampStep>,
}

/// What a cap counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CapUnit {
    /// Every run that used its unit.
    #[default]
    Sends,
    /// Recipients, however often each: one who was used in the window, or for whom a unit is reserved, costs nothing more. A
    /// new one steps aside while the cap is full, and the lane goes on. Jobs without a [recipient](crate::RecipientKey) are not
    /// concerned. A window longer than those before it begins with the recipients that are still known.
    UniqueRecipients,
}

/// What a cap counts together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CapWindow {
    /// These windows, in time order, without overlap: see [`calendar_days`](crate::calendar_days). Outside of all of them the
    /// cap allows nothing.
    Calendar(Vec<Window>),
    /// The last so long, ending now: 1 ms to 366 days.
    Moving(Duration),
}

/// The limit of a cap from an instant on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RampStep {
    /// First instant.
    pub from: DateTime<Utc>,
    /// Units per window.
    pub limit: u64,
}

impl CapSpec {
    /// Windows one cap may have, and steps of its ramp.
    pub const MAX_WINDOWS: usize = 32;

    /// So many units in each of these windows.
    pub fn calendar(limit: u64, windows: Vec<Window>) -> Self {
        Self { limit, unit: CapUnit::Sends, window: CapWindow::Calendar(windows), ramp: Vec::new() }
    }

    /// So many units in any span of this length.
    pub fn moving(limit: u64, length: Duration) -> Self {
        Self { limit, unit: CapUnit::Sends, window: CapWindow::Moving(length), ramp: Vec::new() }
    }

    /// Counts unique recipients instead of sends.
    #[must_use]
    pub fn of_recipients(self) -> Self {
        Self { unit: CapUnit::UniqueRecipients, ..self }
    }

    /// Changes the limit at given instants.
    #[must_use]
    pub fn ramp(self, ramp: Vec<RampStep>) -> Self {
        Self { ramp, ..self }
    }

    /// The limit that holds at an instant.
    pub fn limit_at(&self, at: DateTime<Utc>) -> u64 {
        self.ramp.iter().rev().find(|step| step.from <= at).map_or(self.limit, |step| step.limit)
    }

    pub(crate) fn check(&self) -> Result<(), QueueError> {
        let invalid = |reason: &str| Err(QueueError::invalid("cap", reason));
        let known = DateTime::UNIX_EPOCH..=super::last_instant();
        if self.ramp.len() >= Self::MAX_WINDOWS {
            return invalid("more than 31 steps in a ramp");
        }
        if self.ramp.iter().any(|step| !known.contains(&step.from)) {
            return invalid("a step of a ramp is not between the years 1970 and 9999");
        }
        if self.ramp.windows(2).any(|pair| pair[0].from >= pair[1].from) {
            return invalid("the steps of a ramp are out of order");
        }
        let windows = match &self.window {
            CapWindow::Moving(length) if *length < Duration::from_millis(1) || *length > LONGEST => {
                return invalid("a moving window is not between 1 ms and 366 days");
            }
            CapWindow::Moving(_) => return Ok(()),
            CapWindow::Calendar(windows) => windows,
        };
        if windows.len() > Self::MAX_WINDOWS {
            return invalid("more than 32 windows");
        }
        if windows.iter().any(|w| !known.contains(&w.starts_at) || !known.contains(&w.ends_at)) {
            return invalid("a window is not between the years 1970 and 9999");
        }
        if windows.iter().any(|w| w.starts_at.timestamp_millis() >= w.ends_at.timestamp_millis()) {
            return invalid("a window ends before it starts");
        }
        if windows.windows(2).any(|pair| pair[0].ends_at > pair[1].starts_at) {
            return invalid("windows overlap or are out of order");
        }
        Ok(())
    }
}
