//! A worker process, as far as it knows.

use super::calls::Call;
use crate::model::machine::{Id, Token};

/// A job in its hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) job: Id,
    pub(super) epoch: u8,
}

#[derive(Debug, Default)]
pub(super) struct Worker {
    pub(super) token: Option<Token>,
    pub(super) sequence: u8,
    pub(super) suspects: u8,
    /// Calls that have no answer yet, and will be repeated.
    pub(super) turn: Option<Call>,
    pub(super) suspect: Option<Call>,
    pub(super) runs: Vec<Run>,
}

impl Worker {
    /// It holds these now, if it did not before.
    pub(super) fn take(&mut self, jobs: Vec<(Id, u8)>) {
        for (job, epoch) in jobs {
            self.runs.retain(|run| run.job != job);
            self.runs.push(Run { job, epoch });
        }
    }
}
