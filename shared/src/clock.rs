//! The only place that asks the machine what time it is.
//!
//! Time is a parameter everywhere else, so that tests move it instead of waiting for it. Redis has its own time, which the queue
//! engine uses; this clock is for rows in the database and for calendar days.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// How far a [bounded](Clock::bounded) clock may be ahead of the one it is bound to.
const LEAD: Duration = Duration::from_secs(1);

/// A source of the current time. Clones share their time.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Manual(Arc<RwLock<DateTime<Utc>>>),
    Bounded(Arc<Bounded>),
}

struct Bounded {
    own: Clock,
    /// What another clock showed, and when that was by a clock that nobody sets.
    shown: RwLock<Option<(DateTime<Utc>, Instant)>>,
}

impl Bounded {
    fn latest(&self) -> Option<DateTime<Utc>> {
        let shown = *self.shown.read().unwrap_or_else(PoisonError::into_inner);
        shown.map(|(at, since)| (at + since.elapsed() + LEAD).trunc_subsecs(6))
    }
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

    /// This clock, but never more than a second ahead of another one, which shows its time by [`bind`](Self::bind).
    #[must_use]
    pub fn bounded(self) -> Self {
        Self(Source::Bounded(Arc::new(Bounded { own: self, shown: RwLock::default() })))
    }

    /// The other clock shows this time now; a clock that is not bounded does not care. How far this one is ahead by itself, if that
    /// is further than it may be.
    pub fn bind(&self, shows: DateTime<Utc>) -> Option<TimeDelta> {
        let Source::Bounded(bounded) = &self.0 else { return None };
        *bounded.shown.write().unwrap_or_else(PoisonError::into_inner) = Some((shows, Instant::now()));
        let ahead = bounded.own.now() - shows;
        (ahead > TimeDelta::from_std(LEAD).unwrap_or_default()).then_some(ahead)
    }

    /// The current time in whole microseconds: what both databases can store, so that a value read back equals the one written.
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "the one home of the machine's clock")]
            Source::System => Utc::now().trunc_subsecs(6),
            Source::Manual(time) => *time.read().unwrap_or_else(PoisonError::into_inner),
            Source::Bounded(bounded) => {
                let now = bounded.own.now();
                bounded.latest().map_or(now, |latest| now.min(latest))
            }
        }
    }

    /// Moves a manual clock; the system's clock stays what it is.
    pub fn set(&self, time: DateTime<Utc>) {
        match &self.0 {
            Source::System => {}
            Source::Manual(held) => *held.write().unwrap_or_else(PoisonError::into_inner) = time.trunc_subsecs(6),
            Source::Bounded(bounded) => bounded.own.set(time),
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
            Source::Bounded(bounded) => write!(f, "{:?}.bounded()", bounded.own),
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

    #[test]
    fn a_bounded_clock_runs_ahead_of_nobody() {
        let (own, hour) = (Clock::manual(DateTime::UNIX_EPOCH), TimeDelta::hours(1));
        let clock = own.clone().bounded();
        let other = clock.clone();
        assert_eq!(clock.now(), DateTime::UNIX_EPOCH, "nobody has shown it a time");
        assert_eq!(other.bind(DateTime::UNIX_EPOCH + hour), None);
        assert_eq!(clock.now(), DateTime::UNIX_EPOCH, "it may be behind");
        own.advance(Duration::from_hours(3));
        let second = TimeDelta::seconds(1);
        let lead = clock.now() - (DateTime::UNIX_EPOCH + hour);
        assert!((second..second * 60).contains(&lead), "at once, not when it is bound the next time: {lead}");
        assert_eq!(clock.bind(DateTime::UNIX_EPOCH + hour), Some(hour * 2));
        assert_eq!(clock.bind(own.now()), None);
        assert_eq!(clock.now(), own.now());
    }
}
