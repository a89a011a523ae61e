//! Counting in this process alone, while Redis is away.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use postrider_queue::RateLimit;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Names are forgotten whose limit is full again once there are so many.
const MANY: usize = 10_000;

/// The same in governor's words; none for what cannot be said in them.
pub(super) fn quota(rate: RateLimit) -> Option<Quota> {
    let every = rate.per / rate.units.max(1);
    Some(Quota::with_period(every)?.allow_burst(NonZeroU32::new(rate.burst)?))
}

/// Limits by name, one limiter for each rate there is.
#[derive(Default)]
pub(super) struct Local(Mutex<HashMap<(u32, Duration, u32), DefaultKeyedRateLimiter<String>>>);

impl Local {
    /// Takes one unit, or says how long until there is one.
    pub(super) fn take(&self, name: &str, rate: RateLimit) -> Result<(), Duration> {
        let Some(quota) = quota(rate) else { return Ok(()) };
        let mut limiters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let limiter = limiters.entry((rate.units, rate.per, rate.burst)).or_insert_with(|| RateLimiter::keyed(quota));
        if limiter.len() > MANY {
            limiter.retain_recent();
        }
        limiter.check_key(&name.to_owned()).map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_its_burst() {
        let local = Local::default();
        let rate = RateLimit { units: 1, per: Duration::from_hours(1), burst: 3 };
        for name in ["a", "b"] {
            for _ in 0..3 {
                local.take(name, rate).unwrap();
            }
            let wait = local.take(name, rate).unwrap_err();
            assert!(wait > Duration::from_mins(59) && wait <= Duration::from_hours(1), "{wait:?}");
        }
    }
}
