//! Who of the other watchers lives.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use postrider_shared::ids::WatcherId;
use postrider_shared::watches::Watcher;

/// When each was last seen to beat, by our own clock.
#[derive(Debug, Default)]
pub(super) struct Others(HashMap<WatcherId, (i64, Instant)>);

impl Others {
    /// Notes the beats, and returns those whose beat was the same for so long.
    pub(super) fn dead(&mut self, own: WatcherId, watchers: &[Watcher], after: Duration) -> Vec<Watcher> {
        let now = Instant::now();
        let before = std::mem::take(&mut self.0);
        let mut dead = Vec::new();
        for watcher in watchers.iter().filter(|watcher| watcher.id != own) {
            let since = match before.get(&watcher.id) {
                Some((beat, since)) if *beat == watcher.beat => *since,
                _ => now,
            };
            self.0.insert(watcher.id, (watcher.beat, since));
            if now.duration_since(since) >= after {
                dead.push(watcher.clone());
            }
        }
        dead
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn only_who_was_seen_without_a_beat_for_long_enough_is_dead() {
        let watcher = |beat| Watcher { id: WatcherId::random(), capacity: 1, beat, joined_at: DateTime::UNIX_EPOCH };
        let (own, mut lively, still) = (watcher(1), watcher(1), watcher(9));
        let mut others = Others::default();
        let now = Duration::ZERO;
        let long = Duration::from_hours(1);
        assert!(others.dead(own.id, &[own.clone(), lively.clone(), still.clone()], long).is_empty());
        lively.beat += 1;
        // The same look: everyone who did not beat is dead after no time at all.
        let seen = [own.clone(), still.clone()];
        assert_eq!(others.dead(own.id, &seen, now), seen[1..]);
        // Who was not seen before, or has beaten, is given the whole time again.
        assert!(others.dead(own.id, &[own.clone(), lively, still], long).is_empty());
    }
}
