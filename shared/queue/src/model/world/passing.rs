//! How time passes, and what comes of a state if nothing more goes wrong.

use super::{State, Worker, World};
use crate::model::machine::{Broken, Job, TTL, Verb};

impl World {
    pub(super) fn tick(&self, state: &mut State) {
        if let Some(token) = state.queue.tick(self.broken) {
            let in_time = |worker: &Worker| worker.token == token && !worker.missed && !worker.frozen && worker.open;
            state.outside.innocent_reaped |= state.workers.iter().any(in_time);
        }
    }

    pub(super) fn pass(&self, state: &mut State, unheard: Option<usize>) {
        if state.down {
            state.queue.now += 1;
            return;
        }
        self.tick(state);
        for number in 0..state.workers.len() {
            let worker = &mut state.workers[number];
            if !worker.open {
                continue;
            }
            if worker.frozen {
                worker.missed = true;
                continue;
            }
            let token = worker.token;
            if unheard == Some(number) {
                worker.missed = true;
                continue;
            }
            if state.queue.renew(token, false, self.broken) {
                // The call was sent at this time at the latest; its answer may come a heartbeat later.
                let late = u8::from(self.broken == Broken::LeaseFromAnswer);
                worker.lease_until = state.queue.now + TTL + late;
                worker.missed = false;
            } else {
                worker.begin_anew();
            }
        }
        state.queue.now += 1;
    }

    /// What comes of a state if no more faults happen: every process lives, and each does in turn what it can.
    pub(in crate::model) fn undisturbed(&self, state: &State) -> State {
        let mut state = state.clone();
        state.down = false;
        state.late.clear();
        state.workers.iter_mut().for_each(|worker| worker.frozen = false);
        for _ in 0..4 * (TTL + 2) {
            self.pass(&mut state, None);
            for number in 0..state.workers.len() {
                if !state.workers[number].open {
                    self.open(&mut state, number);
                }
                let turn = Self::begin_turn(&mut state.workers[number]);
                let answer = state.queue.turn(&turn, self.broken);
                Self::answered(&mut state, number, &turn, answer);
                for run in state.workers[number].runs.clone() {
                    let worker = &mut state.workers[number];
                    worker.runs.remove(&run);
                    let mut run = run;
                    if !run.lost && !state.outside.began.contains(&run.job) {
                        state.outside.began.insert(run.job);
                        run.sending = true;
                    }
                    if run.sending && !run.accepted {
                        state.outside.sends += 1;
                        run.accepted = true;
                    }
                    worker.runs.insert(run);
                    Self::finish(&mut state, number, run, Verb::Done);
                }
            }
            let at_rest = state.workers.iter().all(|worker| worker.open && worker.pending.is_none() && !worker.busy());
            if at_rest && state.queue.jobs.iter().all(Job::ended) {
                break;
            }
        }
        state
    }

    pub(super) fn open(&self, state: &mut State, number: usize) {
        let token = state.workers[number].token;
        state.queue.renew(token, true, self.broken);
        state.workers[number].open = true;
        state.workers[number].lease_until = state.queue.now + TTL;
    }
}
