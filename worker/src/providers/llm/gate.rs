//! How fast this process may ask, and whether it may ask at all: nobody waits here, everybody is told how long.

use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// A rate limit (GCRA) and a breaker that provider answers close.
#[derive(Debug)]
pub(super) struct Gate {
    limiter: DefaultDirectRateLimiter,
    rate_clock: DefaultClock,
    closed_until: Mutex<Option<Instant>>,
}

impl Gate {
    pub(super) fn new(requests_per_minute: NonZeroU32) -> Self {
        Self {
            limiter: RateLimiter::direct(Quota::per_minute(requests_per_minute)),
            rate_clock: DefaultClock::default(),
            closed_until: Mutex::new(None),
        }
    }

    /// Takes one request, or says how long to stay away.
    pub(super) fn pass(&self) -> Result<(), Duration> {
        let closed = *self.closed_until.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(left) = closed.and_then(|until| until.checked_duration_since(Instant::now()))
            && !left.is_zero()
        {
            return Err(left);
        }
        self.limiter.check().map_err(|refused| refused.wait_time_from(self.rate_clock.now()))
    }

    /// Keeps every job away for this long, so that one answer "too many requests" is not asked for again by all.
    pub(super) fn close(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut closed = self.closed_until.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *closed = Some(closed.map_or(until, |earlier| earlier.max(until)));
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::Gate;

    #[test]
    fn requests_beyond_the_rate_are_told_how_long_to_wait() {
        let gate = Gate::new(NonZeroU32::new(2).unwrap());
        assert_eq!(gate.pass(), Ok(()));
        assert_eq!(gate.pass(), Ok(()));
        let wait = gate.pass().unwrap_err();
        assert!(wait > Duration::from_secs(20) && wait <= Duration::from_secs(30), "{wait:?}");
    }

    #[test]
    fn a_closed_gate_stays_closed_for_the_longest_time_asked_for() {
        let gate = Gate::new(NonZeroU32::new(1_000).unwrap());
        gate.close(Duration::from_mins(1));
        gate.close(Duration::from_secs(1));
        assert!(gate.pass().unwrap_err() > Duration::from_secs(50));
    }
}
