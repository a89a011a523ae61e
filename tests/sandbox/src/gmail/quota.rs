//! Units per user and minute, as Google counts them.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);
/// What new projects get.
pub(super) const USUAL: u64 = 6_000;

/// What a method costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Units(pub(super) u64);

impl Units {
    pub(super) const CREATE_DRAFT: Self = Self(10);
    pub(super) const UPDATE_DRAFT: Self = Self(15);
    pub(super) const DELETE_DRAFT: Self = Self(10);
    pub(super) const SEND: Self = Self(100);
    pub(super) const GET: Self = Self(5);
    pub(super) const LIST: Self = Self(5);
    pub(super) const GET_THREAD: Self = Self(10);
}

/// One user's calls of the last minute.
#[derive(Debug, Default)]
struct Spent {
    calls: VecDeque<(Instant, u64)>,
    units: u64,
    most: u64,
    refused: u64,
}

#[derive(Debug)]
pub(super) struct Quota {
    pub(super) per_minute: u64,
    users: BTreeMap<String, Spent>,
}

impl Default for Quota {
    fn default() -> Self {
        Self { per_minute: USUAL, users: BTreeMap::new() }
    }
}

impl Quota {
    /// Charges a call, unless that exceeds what the user may spend in a minute.
    pub(super) fn charge(&mut self, user: &str, Units(units): Units, now: Instant) -> bool {
        let spent = self.users.entry(user.to_owned()).or_default();
        while let Some((at, units)) = spent.calls.front().copied().filter(|(at, _)| now.duration_since(*at) >= MINUTE) {
            debug_assert!(at <= now, "calls are in order");
            spent.units -= units;
            spent.calls.pop_front();
        }
        if spent.units + units > self.per_minute {
            spent.refused += 1;
            return false;
        }
        spent.calls.push_back((now, units));
        spent.units += units;
        spent.most = spent.most.max(spent.units);
        true
    }

    /// The most units in any minute, and how many calls were refused for it.
    pub(super) fn of(&self, user: &str) -> (u64, u64) {
        self.users.get(user).map_or((0, 0), |spent| (spent.most, spent.refused))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_so_many_units_in_any_minute() {
        let mut quota = Quota { per_minute: 250, ..Quota::default() };
        let start = Instant::now();
        assert!(quota.charge("a", Units::SEND, start));
        assert!(quota.charge("a", Units::SEND, start + MINUTE / 2));
        assert!(!quota.charge("a", Units::SEND, start + MINUTE / 2));
        assert!(quota.charge("b", Units::SEND, start), "each user for itself");
        assert!(quota.charge("a", Units::SEND, start + MINUTE), "the first call is a minute ago");
        assert_eq!(quota.of("a"), (200, 1));
    }
}
