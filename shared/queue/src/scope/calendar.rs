//! Calendar days as windows of a cap.
//!
//! Redis knows no time zones. Rust computes the boundaries of calendar days ahead as UTC instants; scripts pick the window
//! by Redis's clock. When the windows run out, a lane parks: a limit that is not known to be kept is not exceeded.

use chrono::{DateTime, Days, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

/// How many days of windows a definition should reach ahead.
pub const WINDOW_DAYS: u32 = 14;

/// One window of a cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// First instant. Start and end are the identity of its counter, so a redefinition that keeps a window keeps its count.
    pub starts_at: DateTime<Utc>,
    /// First instant after it.
    pub ends_at: DateTime<Utc>,
    /// Units used already, according to the books outside of Redis. Taken over only when Redis does not know this window.
    pub used_before: u64,
}

/// The calendar days of a time zone from the one that contains `now`, as windows with nothing used.
///
/// A day is 23 to 25 hours long around a change of the clocks. Where midnight does not exist, the day starts with its
/// first existing instant; where it exists twice, with the first.
pub fn calendar_days(zone: Tz, now: DateTime<Utc>, days: u32) -> Vec<Window> {
    let today = now.with_timezone(&zone).date_naive();
    let starts: Vec<DateTime<Utc>> = (0..=u64::from(days))
        .filter_map(|ahead| today.checked_add_days(Days::new(ahead)))
        .filter_map(|day| start_of_day(zone, day))
        .collect();
    starts
        .windows(2)
        .filter(|pair| pair[0] < pair[1])
        .map(|pair| Window { starts_at: pair[0], ends_at: pair[1], used_before: 0 })
        .collect()
}

/// Gaps in local time are multiples of a quarter of an hour, up to the whole day that Samoa skipped.
fn start_of_day(zone: Tz, day: chrono::NaiveDate) -> Option<DateTime<Utc>> {
    let midnight = day.and_time(NaiveTime::MIN);
    (0..=96).find_map(|quarter| {
        let local = midnight + chrono::Duration::minutes(15 * quarter);
        zone.from_local_datetime(&local).earliest().map(|t| t.with_timezone(&Utc))
    })
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use chrono_tz::Tz;

    use super::calendar_days;

    fn hours(zone: Tz, now: &str) -> Vec<i64> {
        let now: DateTime<Utc> = now.parse().unwrap();
        let days = calendar_days(zone, now, 3);
        assert!(days[0].starts_at <= now && now < days[0].ends_at);
        days.iter().map(|w| (w.ends_at - w.starts_at).num_hours()).collect()
    }

    #[test]
    fn days_follow_the_clocks_of_the_zone() {
        assert_eq!(hours(Tz::UTC, "2026-03-28T12:00:00Z"), [24, 24, 24]);
        assert_eq!(hours(Tz::Europe__Berlin, "2026-03-28T12:00:00Z"), [24, 23, 24]);
        assert_eq!(hours(Tz::Europe__Berlin, "2026-10-24T12:00:00Z"), [24, 25, 24]);
        // Midnight of the change does not exist here: the day begins at 01:00.
        assert_eq!(hours(Tz::America__Santiago, "2026-09-05T12:00:00Z"), [24, 23, 24]);
        assert_eq!(hours(Tz::Asia__Kolkata, "2026-01-01T18:29:00Z"), [24, 24, 24]);
    }
}
