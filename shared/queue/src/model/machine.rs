//! The reference: what a shard does with a call. Times in units of a heartbeat.
//!
//! The explored worlds ([`super::world`]) use a part of it: one lane under one scope, no delays, no keys. The comparison with
//! the scripts ([`super::compared`]) uses all of it. Both go through the same transitions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

mod broken;
mod creation;
mod holdings;
mod job;
mod lane;
mod turns;
mod upkeep;

pub(super) use broken::Broken;
pub(super) use creation::Enqueued;
pub(super) use job::{Answer, FAR, Held, Job, New, Settled, State, Turn, Unique, Use, Verb};
pub(super) use lane::{Lane, Scope};
pub(super) use turns::FOLLOW_UP_ATTEMPTS;
pub(super) use upkeep::SHORT;

/// A job, by its place in [`Machine::jobs`].
pub(super) type Id = usize;
/// A session's name; a process that comes back has a new one.
pub(super) type Token = u8;
/// Heartbeats since the start.
pub(super) type Time = u8;

/// How long a session lives without a sign of life, in heartbeats.
/// Longer than a heartbeat, an outage that nobody notices and a tick together.
pub(super) const TTL: Time = 3;

/// What differs between the explored worlds, whose states must be few, and the scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Rules {
    pub(super) ttl: Time,
    /// A longer distance between two ticks means that Redis was away,
    pub(super) gap: Time,
    /// and then everybody gets so much time.
    pub(super) grace: Time,
    /// Crashes from which on a job runs apart from all others.
    pub(super) suspect_from: u8,
    pub(super) max_snoozes: u8,
    /// Whether it is kept when jobs were made and ended, and their records are pruned.
    pub(super) history: bool,
}

impl Rules {
    pub(super) const SMALL: Self =
        Self { ttl: TTL, gap: 1, grace: TTL, suspect_from: u8::MAX, max_snoozes: u8::MAX, history: false };
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Session {
    expires: Time,
    last: Option<(u8, Vec<bool>, Vec<Id>)>,
    last_suspect: Option<(u8, Option<Id>)>,
    /// What it holds, in the order of its claims.
    suspects: Vec<Id>,
    held: Vec<Id>,
    /// Handlers that began after a first crash.
    started: BTreeSet<Id>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Machine {
    rules: Rules,
    pub(super) now: Time,
    pub(super) jobs: Vec<Job>,
    pub(super) lanes: Vec<Lane>,
    pub(super) scopes: Vec<Scope>,
    pub(super) paused: bool,
    suspects: VecDeque<Id>,
    /// Lists of cancelled lanes, and jobs by the order of their deaths.
    doomed: VecDeque<Vec<Id>>,
    pub(super) dead: Vec<Id>,
    /// By the time that records are kept: jobs that ended, and when.
    finished: BTreeMap<Time, VecDeque<(Id, Time)>>,
    /// By key: whose it is, and until when if that is a matter of time.
    unique: BTreeMap<u8, (Id, Option<Time>)>,
    sessions: BTreeMap<Token, Session>,
    charged: BTreeMap<Token, BTreeSet<Id>>,
    ticked: Time,
    grace_until: Time,
}

impl Machine {
    /// As many jobs in one lane, under a scope with this limit.
    pub(super) fn new(jobs: usize, limit: u8) -> Self {
        let scope = Scope { limit, ..Scope::default() };
        let mut machine = Self::empty(Rules::SMALL, vec![Lane::under(&[0])], vec![scope]);
        for _ in 0..jobs {
            machine.enqueue(&New::plain(0));
        }
        machine
    }

    pub(super) fn empty(rules: Rules, lanes: Vec<Lane>, scopes: Vec<Scope>) -> Self {
        Self {
            rules,
            now: 0,
            jobs: Vec::new(),
            lanes,
            scopes,
            paused: false,
            suspects: VecDeque::new(),
            doomed: VecDeque::new(),
            dead: Vec::new(),
            finished: BTreeMap::new(),
            unique: BTreeMap::new(),
            sessions: BTreeMap::new(),
            charged: BTreeMap::new(),
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
        self.sessions.entry(token).or_default().expires = self.now + self.rules.ttl;
        true
    }

    pub(super) fn knows(&self, token: Token) -> bool {
        self.sessions.contains_key(&token)
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

    /// Flags a running job, ends a waiting one. False if it had ended.
    pub(super) fn cancel(&mut self, id: Id) -> bool {
        let job = &mut self.jobs[id];
        if job.runs() {
            job.cancel = true;
        } else if job.waits() {
            self.end(id, State::Cancelled, Use::Unknown);
        } else {
            return false;
        }
        true
    }

    /// Makes a job that waits for a time available now. False if it does not.
    pub(super) fn promote(&mut self, id: Id) -> bool {
        let waits = matches!(self.jobs[id].state, State::Scheduled(_) | State::Retryable(_));
        if waits {
            self.make_available(id, false);
        }
        waits
    }

    /// A job ends, with what became of its unit.
    fn end(&mut self, id: Id, state: State, unit: Use) {
        self.settle_unit(id, unit);
        self.leave_lists(id);
        let job = &mut self.jobs[id];
        job.state = state;
        if self.rules.history {
            job.cancel = false;
            job.finished = self.now;
            if state == State::Dead {
                self.dead.push(id);
            } else {
                let entry = (id, self.now);
                self.finished.entry(job.keep).or_default().push_back(entry);
            }
        }
        if let Some(unique) = self.jobs[id].unique
            && self.unique.get(&unique.key) == Some(&(id, None))
        {
            self.unique.remove(&unique.key);
        }
    }

    /// Jobs charged with the crash of this session.
    pub(super) fn charges(&self, token: Token) -> usize {
        self.charged.get(&token).map_or(0, BTreeSet::len)
    }
}
