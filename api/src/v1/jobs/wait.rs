//! `?wait=30s`.

use std::time::Duration;

use serde::Deserialize;

use crate::deadline::LONGEST_WAIT;

/// How long a caller waits for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Wait(pub Duration);

impl TryFrom<String> for Wait {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let wrong = || format!("`wait` must look like `30s` or `500ms`, at most {} s", LONGEST_WAIT.as_secs());
        let (digits, millis) = match text.strip_suffix("ms") {
            Some(digits) => (digits, 1),
            None => (text.strip_suffix('s').unwrap_or(&text), 1000),
        };
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        let wait = Duration::from_millis(number.checked_mul(millis).ok_or_else(wrong)?);
        if wait > LONGEST_WAIT { Err(wrong()) } else { Ok(Self(wait)) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Wait;

    #[test]
    fn waits_are_read_with_their_unit() {
        for (text, millis) in [("30s", 30_000), ("500ms", 500), ("2", 2_000), ("0s", 0), ("60s", 60_000)] {
            assert_eq!(Wait::try_from(text.to_owned()), Ok(Wait(Duration::from_millis(millis))), "{text}");
        }
        for text in ["", "s", "-1s", "+1s", "1.5s", "61s", "1m", "99999999999999999999s", "18446744073709551615s"] {
            assert!(Wait::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
