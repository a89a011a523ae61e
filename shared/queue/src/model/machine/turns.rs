//! Turns: outcomes are settled, then jobs are claimed.

use std::collections::BTreeSet;

use super::{Answer, Broken, Id, Machine, New, SHORT, Settled, State, Token, Turn, Use, Verb};

/// Attempts of a job that a completion brings along.
pub(in crate::model) const FOLLOW_UP_ATTEMPTS: u8 = 3;

/// What comes of a turn before it claims.
enum Begun {
    Answered(Answer),
    /// Per outcome whether it was applied.
    Settled(Vec<bool>),
}

impl Machine {
    pub(in crate::model) fn turn(&mut self, turn: &Turn, broken: Broken) -> Answer {
        let applied = match self.begin(turn, broken) {
            Begun::Answered(answer) => return answer,
            Begun::Settled(applied) => applied,
        };
        let mut claimed = Vec::new();
        while claimed.len() < turn.want
            && let Some(id) = (0..self.lanes.len()).find_map(|lane| self.next_of(lane, broken))
        {
            self.start(id, turn.token, broken);
            claimed.push(id);
        }
        self.answer(turn, applied, claimed)
    }

    /// The same, but which lanes had their turn is told by somebody else, and of which jobs of cancelled lanes the end was
    /// written on the way. Whether that was allowed, and nothing that could have been claimed was left out, is
    /// judged here. `asks_again`: the session was told that there may be more.
    pub(in crate::model) fn turn_as(
        &mut self,
        turn: &Turn,
        claimed: &[Id],
        ended: &BTreeSet<Id>,
        asks_again: bool,
    ) -> Result<Answer, String> {
        let applied = match self.begin(turn, Broken::Nothing) {
            Begun::Answered(answer) => return Ok(answer),
            Begun::Settled(applied) => applied,
        };
        let ended = self.end_doomed(ended);
        if claimed.len() > turn.want {
            return Err(format!("{} jobs were claimed, {} were wanted", claimed.len(), turn.want));
        }
        for &id in claimed {
            let next = self.next_of(self.jobs[id].lane, Broken::Nothing);
            let may = !self.paused && (next == Some(id) || (self.jobs[id].loose && self.may_start(id)));
            if !may {
                return Err(format!("job {id} was claimed, and the next of its lane is {next:?}"));
            }
            self.start(id, turn.token, Broken::Nothing);
        }
        let left = (0..self.lanes.len()).find_map(|lane| self.next_of(lane, Broken::Nothing));
        if let Some(id) = left
            && !self.paused
            && claimed.len() < turn.want
            && !asks_again
            && !ended
        {
            return Err(format!("job {id} could have been claimed, and nobody comes for it"));
        }
        Ok(self.answer(turn, applied, claimed.to_vec()))
    }

    /// Jobs of cancelled lanes end when somebody comes across them.
    fn end_doomed(&mut self, ended: &BTreeSet<Id>) -> bool {
        let mut any = false;
        for &id in ended {
            if self.jobs[id].state == State::Available && self.is_doomed(id) {
                self.end(id, State::Cancelled, Use::Unknown);
                any = true;
            }
        }
        any
    }

    fn begin(&mut self, turn: &Turn, broken: Broken) -> Begun {
        let Some(session) = self.sessions.get(&turn.token) else {
            if broken == Broken::StaleAccepted {
                self.settle_all(turn.token, &turn.outcomes, broken);
            }
            if broken == Broken::FollowUpsFirst {
                for settled in turn.outcomes.iter().filter(|settled| settled.verb == Verb::Done) {
                    self.jobs[settled.job].follow_ups += 1;
                }
            }
            self.withdraw_charges(turn.token, broken);
            return Begun::Answered(Answer::Gone);
        };
        if let Some((last, applied, claimed)) = &session.last {
            if *last == turn.sequence && broken != Broken::RepeatForgotten {
                let held = claimed.iter().filter(|id| session.held.contains(id));
                let claimed = held.map(|id| (*id, self.jobs[*id].epoch)).collect();
                return Begun::Answered(Answer::Taken { applied: applied.clone(), claimed });
            }
            if *last > turn.sequence && broken != Broken::LateTurnAccepted {
                return Begun::Answered(Answer::Gone); // nobody hears it
            }
        }
        Begun::Settled(self.settle_all(turn.token, &turn.outcomes, broken))
    }

    fn answer(&mut self, turn: &Turn, applied: Vec<bool>, claimed: Vec<Id>) -> Answer {
        let answer = Answer::Taken {
            applied: applied.clone(),
            claimed: claimed.iter().map(|id| (*id, self.jobs[*id].epoch)).collect(),
        };
        if let Some(session) = self.sessions.get_mut(&turn.token) {
            session.held.extend(&claimed);
            session.last = Some((turn.sequence, applied, claimed));
        }
        answer
    }

    fn settle_all(&mut self, token: Token, outcomes: &[Settled], broken: Broken) -> Vec<bool> {
        let (mut heads, mut tails, mut follow_ups) = (Vec::new(), Vec::new(), 0);
        let settle = |settled: &Settled| {
            let applied = self.settle(token, settled, broken);
            let job = &self.jobs[settled.job];
            if applied && job.state == State::Available {
                if settled.verb == Verb::Release { &mut heads } else { &mut tails }.push(settled.job);
            }
            follow_ups += usize::from(applied && settled.then && job.state == State::Completed);
            applied
        };
        let applied = outcomes.iter().map(settle).collect();
        for _ in 0..follow_ups {
            self.enqueue(&New { keep: SHORT, max_attempts: FOLLOW_UP_ATTEMPTS, ..New::plain(0) });
        }
        for id in heads.into_iter().rev() {
            self.make_available(id, true);
        }
        for id in tails {
            self.make_available(id, false);
        }
        applied
    }

    fn settle(&mut self, token: Token, settled: &Settled, broken: Broken) -> bool {
        let id = settled.job;
        let job = &mut self.jobs[id];
        let held = match job.state {
            State::Running(holder) => holder == token || broken == Broken::StaleAccepted,
            State::Completed | State::Available => broken == Broken::StaleAccepted,
            _ => false,
        };
        if !held || (job.epoch != settled.epoch && broken != Broken::StaleAccepted) {
            return false;
        }
        if let Some(session) = self.sessions.get_mut(&token) {
            session.held.retain(|other| *other != id);
            session.suspects.retain(|other| *other != id);
        }
        let tired = match settled.verb {
            Verb::Retry => job.attempt >= job.max_attempts,
            Verb::Snooze => job.snoozes >= self.rules.max_snoozes,
            _ => false,
        };
        if tired || settled.verb == Verb::Fail {
            self.end(id, State::Dead, settled.unit);
            return true;
        }
        // One that was asked to stop ends where it would be tried again.
        let again = matches!(settled.verb, Verb::Retry | Verb::Release | Verb::Snooze);
        if settled.verb == Verb::Stop || (job.cancel && again) {
            let unit = if settled.verb == Verb::Release { Use::Unknown } else { settled.unit };
            self.end(id, State::Cancelled, unit);
            return true;
        }
        let later = (settled.delay > 0).then(|| self.now.saturating_add(settled.delay));
        match settled.verb {
            Verb::Done => {
                job.completions += 1;
                job.completed_in = Some(job.epoch);
                job.follow_ups += 1;
                self.end(id, State::Completed, settled.unit);
            }
            Verb::Retry => {
                job.retries += 1;
                job.crashes = 0;
                self.settle_unit(id, settled.unit);
                self.jobs[id].state = later.map_or(State::Available, State::Retryable);
            }
            Verb::Snooze => {
                job.snoozes += 1;
                job.attempt -= 1;
                job.crashes = 0;
                self.settle_unit(id, settled.unit);
                let waits = settled.delay > self.now;
                self.jobs[id].state = if waits { State::Scheduled(settled.delay) } else { State::Available };
            }
            Verb::Release => {
                job.attempt -= 1;
                self.put_by(id);
                self.jobs[id].state = State::Available;
            }
            Verb::Fail | Verb::Stop => {}
        }
        true
    }

    /// The job that a lane would give next. Those of a cancelled lane do not start, but need room to be come across.
    fn next_of(&self, lane: usize, broken: Broken) -> Option<Id> {
        if self.lanes[lane].paused {
            return None;
        }
        for &id in &self.lanes[lane].waiting {
            let inherits = self.jobs[id].reserved && broken != Broken::RedeliveryReserves;
            if !self.has_room(id, inherits) {
                return None;
            }
            if !self.is_doomed(id) {
                return Some(id);
            }
        }
        None
    }

    /// Wherever it stands.
    fn may_start(&self, id: Id) -> bool {
        let job = &self.jobs[id];
        let stopped = self.lanes[job.lane].paused || self.is_doomed(id);
        job.state == State::Available && !stopped && self.has_room(id, job.reserved)
    }

    fn start(&mut self, id: Id, token: Token, broken: Broken) {
        self.leave_lists(id);
        let inherits = self.jobs[id].reserved && broken != Broken::RedeliveryReserves;
        self.reserve(id, inherits);
        let job = &mut self.jobs[id];
        job.state = State::Running(token);
        job.epoch += 1;
        job.attempt += 1;
    }

    /// Whether a claim may find something.
    pub(in crate::model) fn has_work(&self) -> bool {
        (0..self.jobs.len())
            .any(|id| self.jobs[id].state == State::Available && (self.jobs[id].reserved || self.has_room(id, false)))
    }

    /// A session asks for a suspect, and is given this one. Answers what the session should be told.
    pub(in crate::model) fn suspect_as(
        &mut self,
        token: Token,
        sequence: u8,
        given: Option<Id>,
        ended: &BTreeSet<Id>,
    ) -> Result<Option<(Id, u8)>, String> {
        let Some(session) = self.sessions.get(&token) else { return Ok(None) };
        match session.last_suspect {
            Some((last, _)) if last > sequence => return Ok(None),
            Some((last, found)) if last == sequence => {
                let held = found.filter(|id| session.suspects.contains(id));
                return Ok(held.map(|id| (id, self.jobs[id].epoch)));
            }
            _ => {}
        }
        let ended = self.end_doomed(ended);
        let place = self.suspects.iter().position(|id| !self.paused && self.may_start(*id));
        self.suspects.rotate_left(place.unwrap_or_default()); // whoever cannot start lets the others go first
        let next = place.and_then(|_| self.suspects.front().copied());
        let may = given == next || (ended && given.is_none());
        if !may && !given.is_some_and(|id| !self.paused && self.jobs[id].loose && self.may_start(id)) {
            return Err(format!("the suspect {given:?} was given out, {next:?} is next"));
        }
        if let Some(id) = given {
            self.start(id, token, Broken::Nothing);
        }
        let session = self.sessions.entry(token).or_default();
        session.suspects.extend(given);
        session.last_suspect = Some((sequence, given));
        Ok(given.map(|id| (id, self.jobs[id].epoch)))
    }

    /// A handler begins, which a second crash is held against.
    pub(in crate::model) fn started(&mut self, token: Token, id: Id) -> bool {
        let held = self.jobs[id].state == State::Running(token);
        if held && let Some(session) = self.sessions.get_mut(&token) {
            session.started.insert(id);
        }
        held
    }
}
