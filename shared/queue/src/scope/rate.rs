//! How fast a scope may go.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::QueueError;

/// At most `units` starts in each `per`, spread evenly, with up to `burst` of them at once after a pause.
///
/// It is the leaky bucket in its GCRA form: one number per scope, no window, no list. Every start counts, also that of a
/// redelivery, and none is given back: the limit protects whoever is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// Starts in each `per`; at least one. To allow nothing, pause the scope.
    pub units: u32,
    /// 1 ms to 366 days.
    pub per: Duration,
    /// Starts that may come at once, at least one; together with the distance they stand for at most 366 days.
    pub burst: u32,
}

/// Longest time a rate or a moving window may speak of.
pub(crate) const LONGEST: Duration = Duration::from_hours(366 * 24);

impl RateLimit {
    /// So many in each `per`, evenly: one at a time.
    pub fn even(units: u32, per: Duration) -> Self {
        Self { units, per, burst: 1 }
    }

    /// Allows so many at once.
    #[must_use]
    pub fn burst(self, burst: u32) -> Self {
        Self { burst, ..self }
    }

    /// Distance between two starts in microseconds, rounded up so that the limit is never exceeded.
    pub(crate) fn interval(&self) -> u64 {
        u64::try_from(self.per.as_micros().div_ceil(u128::from(self.units.max(1)))).unwrap_or(u64::MAX)
    }

    pub(crate) fn check(&self) -> Result<(), QueueError> {
        let invalid = |reason: &str| Err(QueueError::invalid("rate limit", reason));
        if self.units == 0 {
            return invalid("0 units; to allow nothing, pause the scope");
        }
        if self.per < Duration::from_millis(1) || self.per > LONGEST {
            return invalid("its time is not between 1 ms and 366 days");
        }
        if u128::from(self.units) > self.per.as_micros() {
            return invalid("more than one unit in a microsecond");
        }
        if self.burst == 0 {
            return invalid("a burst of 0");
        }
        if u128::from(self.burst) * u128::from(self.interval()) > LONGEST.as_micros() {
            return invalid("a burst that stands for more than 366 days");
        }
        Ok(())
    }
}
