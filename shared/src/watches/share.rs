//! How many of the mailboxes each watcher watches.

use super::Watcher;
use crate::ids::WatcherId;

/// The share of `own` in so many mailboxes. All watchers get the same, but none more than it can hold; what small ones leave
/// goes to the others. Shares are rounded up, so that together they cover all if they can.
pub fn share(own: WatcherId, watchers: &[Watcher], mailboxes: u64) -> u64 {
    let mut capacities: Vec<(u64, WatcherId)> =
        watchers.iter().map(|watcher| (u64::try_from(watcher.capacity).unwrap_or_default(), watcher.id)).collect();
    capacities.sort_unstable();
    let mut left = mailboxes;
    let mut takers = capacities.len() as u64;
    for (capacity, id) in capacities {
        let share = left.div_ceil(takers).min(capacity);
        if id == own {
            return share;
        }
        left -= share;
        takers -= 1;
    }
    0
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;

    fn shares(capacities: &[i32], mailboxes: u64) -> Vec<u64> {
        let watchers: Vec<Watcher> = (1..)
            .zip(capacities)
            .map(|(number, capacity)| Watcher {
                id: WatcherId(Uuid::from_u128(number)),
                capacity: *capacity,
                beat: 0,
                joined_at: DateTime::UNIX_EPOCH,
            })
            .collect();
        watchers.iter().map(|watcher| share(watcher.id, &watchers, mailboxes)).collect()
    }

    #[test]
    fn mailboxes_are_shared_evenly_and_none_is_left_over() {
        assert_eq!(shares(&[100], 7), [7]);
        assert_eq!(shares(&[100, 100, 100], 10), [4, 3, 3]);
        assert_eq!(shares(&[10, 1_000], 500), [10, 490]);
        assert_eq!(shares(&[1_000, 10, 0], 500), [490, 10, 0]);
        assert_eq!(shares(&[5, 5], 100), [5, 5]);
        assert_eq!(shares(&[5, 5], 0), [0, 0]);
        assert_eq!(share(WatcherId(Uuid::nil()), &[], 9), 0);
    }
}
