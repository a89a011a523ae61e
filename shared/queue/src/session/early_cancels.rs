//! Cancels that overtake the job they are about: the message that asks it to stop may come before the answer to the call that
//! claimed it.

use std::{collections::HashMap, time::Instant};

use crate::id::JobId;

/// So many are remembered, and the same number before these: each process is told of the cancels of all. What is forgotten
/// comes with a heartbeat.
const MOST: usize = 512;

/// The cancels heard of last.
#[derive(Default)]
pub(super) struct EarlyCancels {
    newer: HashMap<JobId, Instant>,
    older: HashMap<JobId, Instant>,
}

impl EarlyCancels {
    /// A message asks this job to stop.
    pub(super) fn note(&mut self, id: JobId) {
        if self.newer.len() == MOST {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(id, Instant::now());
    }

    /// Whether one was heard of since the call was sent that brings this job now. An earlier one was for another run.
    pub(super) fn heard_since(&self, id: JobId, sent: Instant) -> bool {
        [&self.newer, &self.older].into_iter().any(|cancels| cancels.get(&id).is_some_and(|heard| *heard >= sent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_latest_are_remembered_and_only_for_calls_under_way() {
        let mut cancels = EarlyCancels::default();
        let sent = Instant::now();
        let ids: Vec<JobId> = (0..=2 * MOST).map(|_| JobId::random(0)).collect();
        for id in &ids {
            cancels.note(*id);
        }
        assert!(!cancels.heard_since(ids[0], sent));
        assert!(ids[MOST..].iter().all(|id| cancels.heard_since(*id, sent)));
        assert!(!cancels.heard_since(ids[MOST], Instant::now()));
        assert_eq!(cancels.newer.len() + cancels.older.len(), MOST + 1);
    }
}
