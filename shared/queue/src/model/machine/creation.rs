//! Enqueueing, and unique keys.

use super::{Held, Id, Job, Machine, New, State, Time, Unique};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model) enum Enqueued {
    Created(Id),
    Taken(Id),
    Replaced(Id),
}

impl Machine {
    pub(in crate::model) fn enqueue(&mut self, new: &New) -> Enqueued {
        let mut till = None;
        if let Some(unique) = new.unique {
            match self.holder(unique, new.origin) {
                Ok(inherited) => till = inherited,
                Err(holder) if unique.held == Held::Replace && self.jobs[holder].waits() => {
                    self.replace(holder, new);
                    return Enqueued::Replaced(holder);
                }
                Err(holder) => return Enqueued::Taken(holder),
            }
            if let Held::Period(length) = unique.held {
                till = Some(self.now.saturating_add(length));
            }
        }
        let id = self.jobs.len();
        self.jobs.push(Job::new(new, if self.rules.history { self.now } else { 0 }));
        if let Some(unique) = new.unique {
            self.unique.insert(unique.key, (id, till));
        }
        if new.delay > 0 {
            self.jobs[id].state = State::Scheduled(self.now.saturating_add(new.delay));
        } else {
            self.make_available(id, false);
        }
        Enqueued::Created(id)
    }

    /// Who keeps a job from its key; if nobody does, until when it inherits it.
    fn holder(&self, unique: Unique, origin: Option<Id>) -> Result<Option<Time>, Id> {
        let Some((holder, till)) = self.unique.get(&unique.key).copied() else { return Ok(None) };
        if till.is_some_and(|till| till <= self.now) {
            return Ok(None);
        }
        if Some(holder) == origin {
            return Ok(till);
        }
        let job = &self.jobs[holder];
        let while_waiting = matches!(unique.held, Held::Waiting | Held::Replace);
        let has_begun = !job.waits() || job.was_cut_off();
        if till.is_none() && (while_waiting && has_begun || job.waits() && self.is_doomed(holder)) {
            return Ok(None);
        }
        Err(holder)
    }

    /// A newer job takes the place of one that waits.
    fn replace(&mut self, id: Id, new: &New) {
        let stood = self.jobs[id].state == State::Available;
        if new.delay > 0 {
            self.leave_lists(id);
        }
        let job = &mut self.jobs[id];
        (job.attempt, job.snoozes, job.max_attempts, job.keep) = (0, 0, new.max_attempts, new.keep);
        if new.delay > 0 {
            job.state = State::Scheduled(self.now.saturating_add(new.delay));
            job.loose |= stood;
        } else if !stood {
            self.make_available(id, false);
        }
    }
}
