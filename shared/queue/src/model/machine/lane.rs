//! Lanes, and the scopes that limit them.

use std::collections::VecDeque;

use super::{Id, Machine, State, Time, Use};

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(in crate::model) struct Lane {
    pub(in crate::model) scopes: Vec<usize>,
    /// Available jobs that stand in it.
    pub(super) waiting: VecDeque<Id>,
    pub(in crate::model) paused: bool,
    /// What was enqueued until then does not start any more.
    pub(super) cancelled: Option<Time>,
}

impl Lane {
    pub(in crate::model) fn under(scopes: &[usize]) -> Self {
        Self { scopes: scopes.to_vec(), ..Self::default() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::model) struct Scope {
    /// Sends that it allows.
    pub(in crate::model) limit: u8,
    /// Jobs in flight that it allows.
    pub(in crate::model) flights: u8,
    pub(in crate::model) used: u8,
    pub(in crate::model) open: u8,
    /// Of these, units of jobs that do not run.
    pub(in crate::model) idle: u8,
    pub(in crate::model) paused: bool,
}

impl Default for Scope {
    fn default() -> Self {
        Self { limit: u8::MAX, flights: u8::MAX, used: 0, open: 0, idle: 0, paused: false }
    }
}

impl Scope {
    /// Whether a job with its unit may start.
    fn has_flight(&self) -> bool {
        !self.paused && self.open - self.idle < self.flights
    }

    fn has_unit(&self) -> bool {
        self.used.saturating_add(self.open) < self.limit && self.has_flight()
    }
}

impl Machine {
    /// Whether the scopes of the job's lane let it start.
    pub(super) fn has_room(&self, id: Id, inherits: bool) -> bool {
        let mut scopes = self.lanes[self.jobs[id].lane].scopes.iter().map(|scope| &self.scopes[*scope]);
        if inherits { scopes.all(Scope::has_flight) } else { scopes.all(Scope::has_unit) }
    }

    /// Ends the reservation of a job, before its state changes.
    pub(super) fn settle_unit(&mut self, id: Id, unit: Use) {
        let job = &mut self.jobs[id];
        if !std::mem::take(&mut job.reserved) {
            return;
        }
        let (lane, idle) = (job.lane, !job.runs());
        for scope in &self.lanes[lane].scopes {
            let scope = &mut self.scopes[*scope];
            scope.open -= 1;
            scope.idle -= u8::from(idle);
            if unit != Use::NotUsed {
                scope.used += 1;
            }
        }
    }

    /// A run ends and its job keeps its unit.
    pub(super) fn put_by(&mut self, id: Id) {
        if self.jobs[id].reserved {
            for scope in &self.lanes[self.jobs[id].lane].scopes {
                self.scopes[*scope].idle += 1;
            }
        }
    }

    /// A job starts with its unit, or with a new one.
    pub(super) fn reserve(&mut self, id: Id, inherits: bool) {
        let job = &mut self.jobs[id];
        for scope in &self.lanes[job.lane].scopes {
            let scope = &mut self.scopes[*scope];
            if inherits {
                scope.idle -= 1;
            } else {
                scope.open += 1;
            }
        }
        job.reserved = !self.lanes[job.lane].scopes.is_empty();
    }

    /// Suspects wait apart, all others in their lane.
    pub(super) fn make_available(&mut self, id: Id, at_head: bool) {
        let job = &mut self.jobs[id];
        job.state = State::Available;
        if job.crashes >= self.rules.suspect_from {
            self.suspects.push_back(id);
        } else if at_head {
            self.lanes[job.lane].waiting.push_front(id);
        } else {
            self.lanes[job.lane].waiting.push_back(id);
        }
    }

    pub(super) fn leave_lists(&mut self, id: Id) {
        if self.jobs[id].state == State::Available {
            self.lanes[self.jobs[id].lane].waiting.retain(|other| *other != id);
            self.suspects.retain(|other| *other != id);
            self.doomed.iter_mut().for_each(|list| list.retain(|other| *other != id));
        }
    }

    /// Whether its lane was cancelled since it was enqueued.
    pub(in crate::model) fn is_doomed(&self, id: Id) -> bool {
        let job = &self.jobs[id];
        self.lanes[job.lane].cancelled.is_some_and(|until| job.enqueued <= until)
    }

    /// Cancels what waits in a lane: at once nothing of it starts any more, and maintenance ends it.
    pub(in crate::model) fn cancel_lane(&mut self, lane: usize) {
        if self.jobs.iter().all(|job| job.lane != lane || job.state == State::Gone) {
            return; // nobody knows the lane
        }
        let now = self.now;
        let lane = &mut self.lanes[lane];
        lane.cancelled = Some(now);
        let waiting: Vec<_> = std::mem::take(&mut lane.waiting).into();
        if !waiting.is_empty() {
            self.doomed.push_back(waiting);
        }
    }
}
