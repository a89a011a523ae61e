//! A job, and what is said of its runs.

use super::{Id, Time, Token};

/// Waits for ever, unless somebody promotes it.
pub(in crate::model) const FAR: Time = Time::MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::model) enum State {
    Scheduled(Time),
    Available,
    Running(Token),
    Retryable(Time),
    Completed,
    Cancelled,
    Dead,
    /// Its record is pruned.
    Gone,
}

/// How a unique key is held, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::model) struct Unique {
    pub(in crate::model) key: u8,
    pub(in crate::model) held: Held,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::model) enum Held {
    Active,
    Waiting,
    Replace,
    Period(Time),
}

/// What is told of a job when it is enqueued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::model) struct New {
    pub(in crate::model) lane: usize,
    pub(in crate::model) delay: Time,
    pub(in crate::model) max_attempts: u8,
    pub(in crate::model) keep: Time,
    pub(in crate::model) unique: Option<Unique>,
    /// The dead job in whose place it runs.
    pub(in crate::model) origin: Option<Id>,
}

impl New {
    pub(in crate::model) fn plain(lane: usize) -> Self {
        Self { lane, delay: 0, max_attempts: u8::MAX, keep: FAR, unique: None, origin: None }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "facts of a job that do not depend on one another")]
pub(in crate::model) struct Job {
    pub(in crate::model) state: State,
    pub(in crate::model) lane: usize,
    pub(in crate::model) epoch: u8,
    pub(in crate::model) attempt: u8,
    pub(in crate::model) max_attempts: u8,
    pub(in crate::model) snoozes: u8,
    pub(in crate::model) crashes: u8,
    pub(in crate::model) cancel: bool,
    pub(in crate::model) reserved: bool,
    pub(in crate::model) keep: Time,
    pub(in crate::model) enqueued: Time,
    pub(in crate::model) finished: Time,
    pub(in crate::model) unique: Option<Unique>,
    /// It was put off while it stood in a list, where its id may still stand: it may go sooner than its place says.
    pub(in crate::model) loose: bool,
    /// Its row is written: it is a dead letter of the queue no more.
    pub(in crate::model) archived: bool,
    /// Retries applied, completions applied, follow-ups made: what the properties compare.
    pub(in crate::model) retries: u8,
    pub(in crate::model) completions: u8,
    pub(in crate::model) follow_ups: u8,
    /// The epoch under which it was completed.
    pub(in crate::model) completed_in: Option<u8>,
}

impl Job {
    pub(super) fn new(new: &New, now: Time) -> Self {
        Self {
            state: State::Available,
            lane: new.lane,
            epoch: 0,
            attempt: 0,
            max_attempts: new.max_attempts,
            snoozes: 0,
            crashes: 0,
            cancel: false,
            reserved: false,
            keep: new.keep,
            enqueued: now,
            finished: 0,
            unique: new.unique,
            loose: false,
            archived: false,
            retries: 0,
            completions: 0,
            follow_ups: 0,
            completed_in: None,
        }
    }

    pub(in crate::model) fn ended(&self) -> bool {
        match self.state {
            State::Completed | State::Cancelled | State::Dead | State::Gone => true,
            State::Scheduled(_) | State::Available | State::Running(_) | State::Retryable(_) => false,
        }
    }

    pub(in crate::model) fn waits(&self) -> bool {
        !self.ended() && !self.runs()
    }

    /// A run of it may have done its work: it counts as one that runs.
    pub(super) fn was_cut_off(&self) -> bool {
        self.reserved || self.crashes > 0
    }

    pub(in crate::model) fn runs(&self) -> bool {
        matches!(self.state, State::Running(_))
    }
}

/// What became of a cap unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::model) enum Use {
    Used,
    NotUsed,
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::model) enum Verb {
    Done,
    Retry,
    Release,
    Fail,
    Snooze,
    Stop,
}

/// How a run ended, as the worker reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::model) struct Settled {
    pub(in crate::model) job: Id,
    pub(in crate::model) epoch: u8,
    pub(in crate::model) verb: Verb,
    pub(in crate::model) unit: Use,
    /// Until it is tried again: how long, or, for one that puts itself off, the time.
    pub(in crate::model) delay: Time,
    /// A completion brings a job of its own along.
    pub(in crate::model) then: bool,
}

/// A session's turn: outcomes, then a claim.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::model) struct Turn {
    pub(in crate::model) token: Token,
    pub(in crate::model) sequence: u8,
    pub(in crate::model) outcomes: Vec<Settled>,
    pub(in crate::model) want: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::model) enum Answer {
    /// The session is not known.
    Gone,
    /// Per outcome whether it was applied; jobs claimed, with their epochs.
    Taken { applied: Vec<bool>, claimed: Vec<(Id, u8)> },
}
