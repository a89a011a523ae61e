//! A step of maintenance.

use super::{Broken, Id, Machine, State, Time, Token, Use};

/// How long records are kept that nobody wants for long.
pub(in crate::model) const SHORT: Time = 10;
/// Lists of cancelled lanes in one step.
const DOOMED_AT_ONCE: usize = 3;

impl Machine {
    /// One step of maintenance. Answers the session that was taken for dead, if one was.
    pub(in crate::model) fn tick(&mut self, broken: Broken) -> Option<Token> {
        if self.now - self.ticked > self.rules.gap && broken != Broken::NoGrace {
            self.grace_until = self.now + self.rules.grace;
        }
        self.ticked = self.now;
        let rescued = self.rescue(broken);
        if self.rules.history {
            self.promote_due();
            self.prune();
            self.end_doomed_lists();
        }
        rescued
    }

    fn rescue(&mut self, broken: Broken) -> Option<Token> {
        if self.now < self.grace_until {
            return None;
        }
        let expired = self.sessions.iter().filter(|(_, session)| session.expires <= self.now);
        let (token, session) = expired.min_by_key(|(_, session)| session.expires)?;
        let (token, started) = (*token, session.started.clone());
        let unit = if broken == Broken::CrashFreesUnit { Use::NotUsed } else { Use::Unknown };
        self.take_back(token, unit, |machine, id| {
            let suspect_from = machine.rules.suspect_from;
            let job = &mut machine.jobs[id];
            // The second crash needs proof that the handler had begun.
            if job.crashes + 1 == suspect_from && !started.contains(&id) {
                return 0;
            }
            job.crashes += 1;
            let penance = if job.crashes > suspect_from { 1 << (job.crashes - suspect_from - 1).min(6) } else { 0 };
            if broken == Broken::CrashBurnsAttempt {
                job.attempt += 1;
            }
            machine.charged.entry(token).or_default().insert(id);
            penance
        });
        if broken == Broken::RescueForgets {
            let charged = self.charged.get(&token).cloned().unwrap_or_default();
            self.lanes.iter_mut().for_each(|lane| lane.waiting.retain(|other| !charged.contains(other)));
        }
        Some(token)
    }

    /// Whether a tick would take a session for dead now.
    pub(in crate::model) fn would_rescue(&self) -> bool {
        self.now >= self.grace_until
            && self.now - self.ticked <= self.rules.gap
            && self.sessions.values().any(|session| session.expires <= self.now)
    }

    fn promote_due(&mut self) {
        let due = |id: &Id| match self.jobs[*id].state {
            State::Scheduled(time) | State::Retryable(time) if time <= self.now => Some((time, *id)),
            _ => None,
        };
        let mut all: Vec<_> = (0..self.jobs.len()).filter_map(|id| due(&id)).collect();
        all.sort_unstable();
        for (_, id) in all {
            self.make_available(id, false);
        }
    }

    /// Records go in the order in which they were listed: one that was listed late may stay longer.
    fn prune(&mut self) {
        let mut gone = Vec::new();
        for (keep, list) in &mut self.finished {
            while let Some((id, _)) = list.pop_front_if(|(_, at)| at.saturating_add(*keep) <= self.now) {
                gone.push(id);
            }
        }
        for &id in &gone {
            self.jobs[id].state = State::Gone;
        }
        for (place, lane) in self.lanes.iter_mut().enumerate() {
            let mut of_lane = (0..self.jobs.len()).filter(|id| self.jobs[*id].lane == place);
            if gone.iter().any(|id| self.jobs[*id].lane == place)
                && of_lane.all(|id| self.jobs[id].state == State::Gone)
            {
                lane.cancelled = None; // nobody knows the lane any more
            }
        }
    }

    fn end_doomed_lists(&mut self) {
        for _ in 0..DOOMED_AT_ONCE {
            for id in self.doomed.pop_front().unwrap_or_default() {
                self.end(id, State::Cancelled, Use::Unknown);
            }
        }
    }

    /// The rows of so many dead letters are written.
    pub(in crate::model) fn archive(&mut self, most: usize) {
        let letters: Vec<Id> = self.dead.drain(..most.min(self.dead.len())).collect();
        for id in letters {
            let job = &mut self.jobs[id];
            job.archived = true;
            let entry = (id, job.finished);
            self.finished.entry(job.keep).or_default().push_back(entry);
        }
    }
}
