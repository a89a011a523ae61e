//! A worker process and the handlers it runs.

use std::collections::BTreeSet;

use crate::model::machine::{Id, Settled, Token, Turn};

/// A run of a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::model) struct Run {
    pub(in crate::model) job: Id,
    pub(in crate::model) epoch: u8,
    /// It began to send; the provider may accept at any time from then on.
    pub(in crate::model) sending: bool,
    pub(in crate::model) accepted: bool,
    pub(in crate::model) lost: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::model) struct Worker {
    pub(in crate::model) token: Token,
    pub(in crate::model) open: bool,
    pub(in crate::model) frozen: bool,
    /// Until when the process trusts its leases.
    pub(in crate::model) lease_until: u8,
    pub(in crate::model) sequence: u8,
    /// A turn that has no answer yet.
    pub(in crate::model) pending: Option<Turn>,
    pub(in crate::model) runs: BTreeSet<Run>,
    pub(in crate::model) settled: Vec<Settled>,
    /// A heartbeat was due and did not get through, through no outage.
    pub(in crate::model) missed: bool,
}

impl Worker {
    pub(super) fn new(number: usize) -> Self {
        Self {
            token: u8::try_from(number * 16).unwrap_or_default(),
            open: false,
            frozen: false,
            lease_until: 0,
            sequence: 0,
            pending: None,
            runs: BTreeSet::new(),
            settled: Vec::new(),
            missed: false,
        }
    }

    /// A new name; nothing of the old one is kept but handlers that go on by themselves.
    pub(super) fn begin_anew(&mut self) {
        self.token += 1;
        self.open = false;
        self.sequence = 0;
        self.pending = None;
        self.settled.clear();
        self.missed = false;
        self.runs = self.runs.iter().map(|run| Run { lost: true, ..*run }).collect();
    }

    pub(super) fn busy(&self) -> bool {
        !self.settled.is_empty() || self.runs.iter().any(|run| !run.lost)
    }
}
