//! Planned starts of recurring runs. An occurrence is a unique row (schedule, planned time), so any number of schedulers start it once,
//! and none of them needs to be the leader. Its jitter and its job follow from the two, so a repeat is the same occurrence.

mod row;
mod store;

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use sha2::{Digest, Sha256};

pub use row::Model as Occurrence;
pub(crate) use row::{ActiveModel, Column, Entity};
pub use store::{Occurrences, Planned};

/// The delay of an occurrence after its planned time, evenly spread from zero to `most`: all mailboxes of an interval would
/// otherwise be read at the same second.
pub fn jitter(schedule: &str, planned_at: DateTime<Utc>, most: Duration) -> Duration {
    let mut hash = Sha256::new();
    hash.update(schedule.as_bytes());
    hash.update([0]);
    hash.update(planned_at.timestamp_micros().to_be_bytes());
    let digest = hash.finalize();
    let mut number = [0; 8];
    number.copy_from_slice(&digest[..8]);
    let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(u64::from_be_bytes(number) % most.saturating_add(1).max(1))
}

/// The parts from which an occurrence's job id is derived.
pub fn job_id_parts(schedule: &str, planned_at: DateTime<Utc>) -> [String; 3] {
    ["occurrence".to_owned(), schedule.to_owned(), planned_at.to_rfc3339_opts(SecondsFormat::Micros, true)]
}

/// The latest planned time of a schedule that is not after `now`: multiples of the interval since 1970, so that every scheduler
/// names the same ones. The interval is at least a second.
pub fn latest(now: DateTime<Utc>, interval: Duration) -> DateTime<Utc> {
    let interval = i64::try_from(interval.as_secs()).unwrap_or(i64::MAX).max(1);
    let seconds = now.timestamp().div_euclid(interval).saturating_mul(interval);
    DateTime::from_timestamp(seconds, 0).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_follows_from_the_occurrence_and_spreads() {
        let at = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        let most = Duration::from_secs(60);
        let delays: Vec<Duration> = (0..200).map(|n| jitter(&format!("poll:{n}"), at, most)).collect();
        assert_eq!(delays[7], jitter("poll:7", at, most));
        assert!(delays.iter().all(|delay| *delay <= most));
        assert!(delays.iter().filter(|delay| **delay < most / 2).count() > 60);
        assert_eq!(jitter("poll:1", at, Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn planned_times_are_multiples_of_the_interval() {
        let now = DateTime::from_timestamp(1_790_000_123, 456).unwrap();
        assert_eq!(latest(now, Duration::from_secs(600)).timestamp(), 1_789_999_800);
        assert_eq!(latest(now, Duration::ZERO).timestamp(), 1_790_000_123);
    }
}
