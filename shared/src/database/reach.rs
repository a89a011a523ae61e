//! Times that both databases know, in their order.

use chrono::{DateTime, Utc};

/// The first and the last microsecond of the years that four digits name. PostgreSQL has no year before 4713 BC; SQLite compares times
/// as texts, so years of more digits, or with a sign, would stand in the wrong place.
const FIRST: DateTime<Utc> = DateTime::from_timestamp_micros(-62_167_219_200_000_000).expect("a time");
const LAST: DateTime<Utc> = DateTime::from_timestamp_micros(253_402_300_799_999_999).expect("a time");

/// The nearest time that may stand in a condition. Rows have none beyond.
pub(crate) fn within_reach(time: DateTime<Utc>) -> DateTime<Utc> {
    time.clamp(FIRST, LAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_of_four_digits_are_within_reach() {
        for text in ["0000-01-01T00:00:00Z", "2026-01-02T03:04:05.000006Z", "9999-12-31T23:59:59.999999Z"] {
            let time: DateTime<Utc> = text.parse().unwrap();
            assert_eq!(within_reach(time), time);
        }
        for (text, nearest) in [
            ("-0001-12-31T23:59:59Z", FIRST),
            ("-262143-01-01T00:00:00Z", FIRST),
            ("+10000-01-01T00:00:00Z", LAST),
            ("+262142-12-31T23:59:59Z", LAST),
        ] {
            assert_eq!(within_reach(text.parse().unwrap()), nearest, "{text}");
        }
    }
}
