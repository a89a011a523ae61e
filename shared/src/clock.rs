//! The only place that asks the machine what time it is.
//!
//! Time is a parameter everywhere else, so that tests move it instead of waiting for it. Redis has its own time, which the queue
//! engine uses; this clock is for rows in the database and for calendar days.

use std::{
    fmt,
    sync::{Arc, RwLock},
    time::Duration,
};

use chrono::{DateTime, SubsecRound, Utc};

/// A source of the current time. Clones share their time.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Manual(Arc<RwLock<DateTime<Utc>>>),
}

impl Clock {
    /// The machine's clock.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `start` until it is moved.
    pub fn manual(start: DateTime<Utc>) -> Self {
        Self(Source::Manual(Arc::new(RwLock::new(start.trunc_subsecs(6)))))
    }

    /// The current time in whole microseconds: what both databases can store, so that a value read back equals the one written.
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "the one home of the machine's clock")]
            Source::System => Utc::now().trunc_subsecs(6),
            Source::Manual(time) => *time.read().unwrap_or_else(std::sync::PoisonError::into_inner),
        }
    }

    /// Moves a manual clock; the system's clock stays what it is.
    pub fn set(&self, time: DateTime<Utc>) {
        if let Source::Manual(held) = &self.0 {
            *held.write().unwrap_or_else(std::sync::PoisonError::into_inner) = time.trunc_subsecs(6);
        }
    }

    /// Moves a manual clock forward.
    pub fn advance(&self, by: Duration) {
        self.set(self.now() + by);
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::System => f.write_str("Clock::system"),
            Source::Manual(_) => write!(f, "Clock::manual({})", self.now()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_a_manual_clock_move_together() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH);
        let other = clock.clone();
        clock.advance(Duration::from_secs(90));
        assert_eq!(other.now(), DateTime::UNIX_EPOCH + Duration::from_secs(90));
    }

    #[test]
    fn times_carry_whole_microseconds() {
        assert_eq!(Clock::system().now().timestamp_subsec_nanos() % 1_000, 0);
    }
}
