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

/// The latest planned time of a schedule that is not after `now`. Planned times lie an interval apart, shifted for each schedule by a
/// hash of its name: every scheduler names the same ones, and the mailboxes of an interval are spread over all of it. The interval
/// is at least a second.
pub fn latest(schedule: &str, now: DateTime<Utc>, interval: Duration) -> DateTime<Utc> {
    let interval = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1_000);
    let shift = jitter(schedule, DateTime::UNIX_EPOCH, Duration::from_millis(interval.unsigned_abs() - 1));
    let shift = i64::try_from(shift.as_millis()).unwrap_or_default();
    let now_ms = now.timestamp_millis();
    DateTime::from_timestamp_millis(now_ms - (now_ms - shift).rem_euclid(interval)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_follows_from_the_occurrence_and_spreads() {
        let at = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        let most = Duration::from_mins(1);
        let delays: Vec<Duration> = (0..200).map(|n| jitter(&format!("poll:{n}"), at, most)).collect();
        assert_eq!(delays[7], jitter("poll:7", at, most));
        assert!(delays.iter().all(|delay| *delay <= most));
        assert!(delays.iter().filter(|delay| **delay < most / 2).count() > 60);
        assert_eq!(jitter("poll:1", at, Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn planned_times_are_an_interval_apart_and_spread_over_it() {
        let interval = Duration::from_mins(10);
        let now = DateTime::from_timestamp(1_790_000_123, 456).unwrap();
        let planned = latest("poll:7", now, interval);
        assert!(planned <= now && now < planned + interval);
        assert_eq!(latest("poll:7", planned, interval), planned);
        assert_eq!(latest("poll:7", planned + interval - Duration::from_millis(1), interval), planned);
        assert_eq!(latest("poll:7", planned + interval, interval), planned + interval);
        let since = |n: u32| (now - latest(&format!("poll:{n}"), now, interval)).num_seconds();
        let first_minute = (0..1_000).map(since).filter(|seconds| *seconds < 60).count();
        assert!((50..150).contains(&first_minute), "{first_minute} of 1,000 in a tenth of the time");
    }
}
