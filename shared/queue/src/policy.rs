//! How a kind of job is retried, timed and kept. Decided in Rust; scripts only move jobs.

use std::time::Duration;

use backoff::{ExponentialBackoffBuilder, backoff::Backoff as _};
use serde::{Deserialize, Serialize};

use crate::job::Job;

/// Exponential back-off with full jitter: the delay before the retry is drawn evenly from zero up to
/// `base × factor^(attempt − 1)`, at most `max`. Full jitter spreads a herd of failures best.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Backoff {
    /// Upper bound of the delay after the first attempt.
    pub base: Duration,
    /// Growth from one attempt to the next, at least 1.
    pub factor: f64,
    /// No delay is longer.
    pub max: Duration,
}

impl Backoff {
    /// 1 s, doubling, at most 15 minutes.
    pub const DEFAULT: Self = Self { base: Duration::from_secs(1), factor: 2.0, max: Duration::from_mins(15) };

    /// The longest delay after this attempt (the first is 1).
    pub fn ceiling(&self, attempt: u32) -> Duration {
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = self.base.as_secs_f64() * self.factor.max(1.0).powi(exponent);
        Duration::try_from_secs_f64(seconds).map_or(self.max, |delay| delay.min(self.max))
    }

    /// A delay drawn for this attempt (the first is 1).
    pub fn delay(&self, attempt: u32) -> Duration {
        let ceiling = self.ceiling(attempt);
        // Full jitter in the crate's terms: half of the ceiling, give or take all of it.
        let mut drawn = ExponentialBackoffBuilder::new()
            .with_initial_interval(ceiling / 2)
            .with_randomization_factor(1.0)
            .with_max_interval(ceiling)
            .with_max_elapsed_time(None)
            .build();
        drawn.next_backoff().map_or(ceiling, |delay| delay.min(ceiling))
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// How often and at which distance a failing job is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Attempts in all; after the last one fails the job is dead. A job's own number goes before this one.
    pub max_attempts: u32,
    /// Distance between attempts.
    pub backoff: Backoff,
}

/// What the runtime must know of a kind to run it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// How it is retried.
    pub retry: RetryPolicy,
    /// Hard deadline of one attempt.
    pub timeout: Duration,
    /// How many times a job may put itself off.
    pub max_snoozes: u32,
}

impl Policy {
    /// The policy that a job type declares.
    pub fn of<J: Job>() -> Self {
        Self {
            retry: RetryPolicy { max_attempts: J::MAX_ATTEMPTS, backoff: J::BACKOFF },
            timeout: J::TIMEOUT,
            max_snoozes: J::MAX_SNOOZES,
        }
    }
}

/// Finds the policy of a kind (or alias). A backend asks it for every job: a kind it does not know is snoozed, because a
/// newer worker may be starting, and at last buried.
pub trait Policies: Send + Sync + 'static {
    /// The policy, or nothing if this process has no handler for the kind.
    fn of(&self, kind: &str) -> Option<Policy>;
}

impl<F: Fn(&str) -> Option<Policy> + Send + Sync + 'static> Policies for F {
    fn of(&self, kind: &str) -> Option<Policy> {
        self(kind)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Backoff;

    #[test]
    fn ceilings_double_up_to_the_maximum_and_never_overflow() {
        let backoff = Backoff::DEFAULT;
        assert_eq!(backoff.ceiling(1), Duration::from_secs(1));
        assert_eq!(backoff.ceiling(4), Duration::from_secs(8));
        assert_eq!(backoff.ceiling(u32::MAX), backoff.max);
        let delays: Vec<_> = (0..1000).map(|_| backoff.delay(3)).collect();
        assert!(delays.iter().all(|delay| *delay <= Duration::from_secs(4)));
        let mean = delays.iter().sum::<Duration>() / 1000;
        assert!((1800..2200).contains(&mean.as_millis()), "drawn evenly from zero up, mean {mean:?}");
        let none = Backoff { base: Duration::ZERO, ..backoff };
        assert_eq!(none.delay(1), Duration::ZERO);
    }
}
