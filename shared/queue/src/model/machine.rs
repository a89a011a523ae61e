//! The reference: what a shard does with a call. One lane, one scope, times in units of a heartbeat.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A job, by its place in [`Machine::jobs`].
pub(super) type Id = usize;
/// A session's name; a process that comes back has a new one.
pub(super) type Token = u8;

/// How long a session lives without a sign of life, in heartbeats.
/// Longer than a heartbeat, an outage that nobody notices and a tick together.
pub(super) const TTL: u8 = 3;
/// A longer distance between two ticks means that Redis was away.
const GAP: u8 = 1;

/// A rule that a twin breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Broken {
    /// All rules stand.
    Nothing,
    /// Neither the session nor the epoch guards a completion.
    StaleAccepted,
    /// A repeated turn is carried out again.
    RepeatForgotten,
    /// A turn that comes late, after one with a higher number, is carried out.
    LateTurnAccepted,
    /// Follow-up jobs are made before the outcome is judged.
    FollowUpsFirst,
    /// The unit of a crashed, cancelled run is given back.
    CrashFreesUnit,
    /// The unit of a cancelled run that a stopping worker cut off is given back.
    StopFreesUnit,
    /// A redelivery reserves once more.
    RedeliveryReserves,
    /// An outage gives nobody grace.
    NoGrace,
    /// What a dead session held is forgotten.
    RescueForgets,
    /// A crash costs its jobs an attempt.
    CrashBurnsAttempt,
    /// A session that was only taken for dead leaves its jobs charged with a crash.
    ChargeStays,
    /// The worker counts its lease from the answer, not from the call.
    LeaseFromAnswer,
    /// The handler begins to send without looking at its lease.
    SendsWithoutLease,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum State {
    Available,
    Running(Token),
    Completed,
    Cancelled,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Job {
    pub(super) state: State,
    pub(super) epoch: u8,
    pub(super) attempt: u8,
    pub(super) crashes: u8,
    pub(super) cancel: bool,
    pub(super) reserved: bool,
    /// Retries applied, completions applied, follow-ups made: what the properties compare.
    pub(super) retries: u8,
    pub(super) completions: u8,
    pub(super) follow_ups: u8,
    /// The epoch under which it was completed.
    pub(super) completed_in: Option<u8>,
}

impl Job {
    fn new() -> Self {
        Self {
            state: State::Available,
            epoch: 0,
            attempt: 0,
            crashes: 0,
            cancel: false,
            reserved: false,
            retries: 0,
            completions: 0,
            follow_ups: 0,
            completed_in: None,
        }
    }

    pub(super) fn ended(&self) -> bool {
        matches!(self.state, State::Completed | State::Cancelled)
    }
}

/// What became of a cap unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Use {
    Used,
    NotUsed,
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Verb {
    Done,
    Retry,
    Release,
}

/// How a run ended, as the worker reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Settled {
    pub(super) job: Id,
    pub(super) epoch: u8,
    pub(super) verb: Verb,
    pub(super) unit: Use,
}

/// A session's turn: outcomes, then a claim.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Turn {
    pub(super) token: Token,
    pub(super) sequence: u8,
    pub(super) outcomes: Vec<Settled>,
    pub(super) want: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Answer {
    /// The session is not known.
    Gone,
    /// Per outcome whether it was applied; jobs claimed, with their epochs.
    Taken { applied: Vec<bool>, claimed: Vec<(Id, u8)> },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Session {
    expires: u8,
    last: Option<(u8, Vec<bool>, Vec<Id>)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Scope {
    pub(super) limit: u8,
    pub(super) used: u8,
    pub(super) open: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Machine {
    pub(super) now: u8,
    pub(super) jobs: Vec<Job>,
    waiting: VecDeque<Id>,
    sessions: BTreeMap<Token, Session>,
    charged: BTreeMap<Token, BTreeSet<Id>>,
    pub(super) scope: Scope,
    ticked: u8,
    grace_until: u8,
}

impl Machine {
    pub(super) fn new(jobs: usize, limit: u8) -> Self {
        Self {
            now: 0,
            jobs: vec![Job::new(); jobs],
            waiting: (0..jobs).collect(),
            sessions: BTreeMap::new(),
            charged: BTreeMap::new(),
            scope: Scope { limit, used: 0, open: 0 },
            ticked: 0,
            grace_until: 0,
        }
    }

    /// Opens a session or tells that it lives. False: it is not known (any more).
    pub(super) fn renew(&mut self, token: Token, open: bool, broken: Broken) -> bool {
        if !open && !self.sessions.contains_key(&token) {
            self.withdraw_charges(token, broken);
            return false;
        }
        let expires = self.now + TTL;
        self.sessions.entry(token).or_insert(Session { expires, last: None }).expires = expires;
        true
    }

    /// A session that was taken for dead lives: that was no crash.
    fn withdraw_charges(&mut self, token: Token, broken: Broken) {
        if broken == Broken::ChargeStays {
            return;
        }
        for id in self.charged.remove(&token).unwrap_or_default() {
            let job = &mut self.jobs[id];
            if !job.ended() {
                job.crashes = job.crashes.saturating_sub(1);
            }
        }
    }

    pub(super) fn turn(&mut self, turn: &Turn, broken: Broken) -> Answer {
        let Some(session) = self.sessions.get(&turn.token) else {
            if broken == Broken::StaleAccepted {
                for settled in &turn.outcomes {
                    self.settle(turn.token, *settled, broken);
                }
            }
            if broken == Broken::FollowUpsFirst {
                for settled in turn.outcomes.iter().filter(|settled| settled.verb == Verb::Done) {
                    self.jobs[settled.job].follow_ups += 1;
                }
            }
            return Answer::Gone;
        };
        if let Some((last, applied, claimed)) = session.last.clone() {
            if last == turn.sequence && broken != Broken::RepeatForgotten {
                let held = claimed.into_iter().filter(|id| self.jobs[*id].state == State::Running(turn.token));
                return Answer::Taken { applied, claimed: held.map(|id| (id, self.jobs[id].epoch)).collect() };
            }
            if last > turn.sequence && broken != Broken::LateTurnAccepted {
                return Answer::Taken { applied: vec![false; turn.outcomes.len()], claimed: Vec::new() };
            }
        }
        let applied: Vec<_> = turn.outcomes.iter().map(|settled| self.settle(turn.token, *settled, broken)).collect();
        let claimed: Vec<_> = (0..turn.want).map_while(|_| self.claim(turn.token, broken)).collect();
        let answer = Answer::Taken {
            applied: applied.clone(),
            claimed: claimed.iter().map(|id| (*id, self.jobs[*id].epoch)).collect(),
        };
        if let Some(session) = self.sessions.get_mut(&turn.token) {
            session.last = Some((turn.sequence, applied, claimed));
        }
        answer
    }

    fn settle(&mut self, token: Token, settled: Settled, broken: Broken) -> bool {
        let job = &mut self.jobs[settled.job];
        let held = match job.state {
            State::Running(holder) => holder == token || broken == Broken::StaleAccepted,
            State::Completed | State::Available => broken == Broken::StaleAccepted,
            State::Cancelled => false,
        };
        if !held || (job.epoch != settled.epoch && broken != Broken::StaleAccepted) {
            return false;
        }
        let cancelled = job.cancel && settled.verb != Verb::Done;
        let unit = if cancelled && settled.verb == Verb::Release { Use::Unknown } else { settled.unit };
        if cancelled {
            job.state = State::Cancelled;
            self.settle_unit(settled.job, unit);
            return true;
        }
        match settled.verb {
            Verb::Done => {
                job.state = State::Completed;
                job.completions += 1;
                job.completed_in = Some(job.epoch);
                job.follow_ups += 1;
                self.settle_unit(settled.job, unit);
            }
            Verb::Retry => {
                job.state = State::Available;
                job.retries += 1;
                self.settle_unit(settled.job, unit);
                self.waiting.push_back(settled.job);
            }
            Verb::Release => {
                job.state = State::Available;
                job.attempt -= 1;
                self.waiting.push_front(settled.job);
            }
        }
        true
    }

    fn settle_unit(&mut self, id: Id, unit: Use) {
        if std::mem::take(&mut self.jobs[id].reserved) {
            self.scope.open -= 1;
            if unit != Use::NotUsed {
                self.scope.used += 1;
            }
        }
    }

    fn claim(&mut self, token: Token, broken: Broken) -> Option<Id> {
        // An id whose job was cancelled while it waited is skipped.
        while self.waiting.front().is_some_and(|id| self.jobs[*id].state != State::Available) {
            self.waiting.pop_front();
        }
        let id = *self.waiting.front()?;
        let inherits = self.jobs[id].reserved && broken != Broken::RedeliveryReserves;
        if !inherits {
            if self.scope.used + self.scope.open >= self.scope.limit {
                return None;
            }
            self.scope.open += 1;
        }
        self.waiting.pop_front();
        let job = &mut self.jobs[id];
        job.reserved = true;
        job.state = State::Running(token);
        job.epoch += 1;
        job.attempt += 1;
        Some(id)
    }

    /// Whether a claim may find something.
    pub(super) fn has_work(&self) -> bool {
        let room = self.scope.used + self.scope.open < self.scope.limit;
        self.jobs.iter().any(|job| job.state == State::Available && (room || job.reserved))
    }

    /// Flags a running job, ends a waiting one. False if it had ended.
    pub(super) fn cancel(&mut self, id: Id) -> bool {
        match self.jobs[id].state {
            State::Running(_) => self.jobs[id].cancel = true,
            State::Available => {
                self.jobs[id].state = State::Cancelled;
                self.settle_unit(id, Use::Unknown);
            }
            State::Completed | State::Cancelled => return false,
        }
        true
    }

    /// One step of maintenance. Answers the session that was taken for dead, if one was.
    pub(super) fn tick(&mut self, broken: Broken) -> Option<Token> {
        if self.now - self.ticked > GAP && broken != Broken::NoGrace {
            self.grace_until = self.now + TTL;
        }
        self.ticked = self.now;
        if self.now < self.grace_until {
            return None;
        }
        let (token, _) = self.sessions.iter().find(|(_, session)| session.expires <= self.now)?;
        let token = *token;
        let unit = if broken == Broken::CrashFreesUnit { Use::NotUsed } else { Use::Unknown };
        for id in self.take_back(token, unit) {
            self.jobs[id].crashes += 1;
            self.charged.entry(token).or_default().insert(id);
            match broken {
                Broken::RescueForgets => self.waiting.retain(|other| *other != id),
                Broken::CrashBurnsAttempt => self.jobs[id].attempt += 1,
                _ => {}
            }
        }
        Some(token)
    }

    /// Whether a tick would take a session for dead now.
    pub(super) fn would_rescue(&self) -> bool {
        self.now >= self.grace_until
            && self.now - self.ticked <= GAP
            && self.sessions.values().any(|session| session.expires <= self.now)
    }

    /// A stopping worker gives back what it holds.
    pub(super) fn close(&mut self, token: Token, broken: Broken) {
        let unit = if broken == Broken::StopFreesUnit { Use::NotUsed } else { Use::Unknown };
        self.take_back(token, unit);
        self.withdraw_charges(token, broken);
    }

    /// Ends a session; its jobs go back to the head of the lane without an attempt. A redelivery keeps its reservation;
    /// nobody knows what a run did that had been asked to stop. Answers what it held.
    fn take_back(&mut self, token: Token, unit: Use) -> Vec<Id> {
        self.sessions.remove(&token);
        let held: Vec<_> = (0..self.jobs.len()).filter(|id| self.jobs[*id].state == State::Running(token)).collect();
        for &id in held.iter().rev() {
            if self.jobs[id].cancel {
                self.jobs[id].state = State::Cancelled;
                self.settle_unit(id, unit);
            } else {
                self.jobs[id].state = State::Available;
                self.jobs[id].attempt -= 1;
                self.waiting.push_front(id);
            }
        }
        held
    }

    /// Jobs charged with the crash of this session.
    pub(super) fn charges(&self, token: Token) -> usize {
        self.charged.get(&token).map_or(0, BTreeSet::len)
    }
}
