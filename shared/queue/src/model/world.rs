//! Worker processes, handlers and a bad network around the machine.

use std::collections::BTreeSet;

use stateright::{Model, Property};

use super::{
    machine::{Answer, Broken, Id, Machine, Settled, Turn, Use, Verb},
    properties,
};

mod passing;
mod worker;

pub(super) use worker::{Run, Worker};

/// What may happen, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Faults {
    pub(super) crashes: u8,
    pub(super) freezes: u8,
    pub(super) stops: u8,
    /// Answers that never arrive, of turns and heartbeats.
    pub(super) lost_answers: u8,
    /// Turns that stay on the way and arrive later, after their repeat.
    pub(super) late_turns: u8,
    pub(super) outages: u8,
    pub(super) cancels: u8,
    pub(super) retries: u8,
}

/// A world to explore.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) workers: usize,
    pub(super) jobs: usize,
    /// Sends the scope allows.
    pub(super) limit: u8,
    /// Heartbeats until it ends.
    pub(super) time: u8,
    pub(super) faults: Faults,
    pub(super) broken: Broken,
}

/// What the outside knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Outside {
    /// Per job, whether somebody began to send its message: the row in the send ledger.
    pub(super) began: BTreeSet<Id>,
    /// Messages the provider accepted.
    pub(super) sends: u8,
    /// A worker that was in time was taken for dead.
    pub(super) innocent_reaped: bool,
    /// A worker was told that the completion was refused that had been accepted.
    pub(super) own_completion_refused: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) queue: Machine,
    pub(super) workers: Vec<Worker>,
    /// Turns on their way that nobody waits for.
    late: BTreeSet<Turn>,
    pub(super) faults: Faults,
    down: bool,
    pub(super) outside: Outside,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Delivery {
    Answered,
    AnswerLost,
    /// It arrives later; the worker repeats it meanwhile.
    Late,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Action {
    Open(usize),
    Turn(usize, Delivery),
    LateTurn(Turn),
    Begin(usize, Run),
    Accept(usize, Run),
    Finish(usize, Run, Verb),
    Crash(usize),
    Freeze(usize),
    Thaw(usize),
    Stop(usize),
    Cancel(Id),
    Tick,
    Down,
    Up,
    /// A heartbeat passes; the heartbeat of this worker is answered into the void.
    Time {
        unheard: Option<usize>,
    },
}

impl World {
    fn begin_turn(worker: &mut Worker) -> Turn {
        if let Some(turn) = &worker.pending {
            return turn.clone();
        }
        worker.sequence += 1;
        let turn = Turn {
            token: worker.token,
            sequence: worker.sequence,
            outcomes: std::mem::take(&mut worker.settled),
            want: usize::from(worker.runs.iter().all(|run| run.lost)),
        };
        worker.pending = Some(turn.clone());
        turn
    }

    fn answered(state: &mut State, number: usize, turn: &Turn, answer: Answer) {
        let worker = &mut state.workers[number];
        worker.pending = None;
        match answer {
            Answer::Gone => worker.begin_anew(),
            Answer::Taken { applied, claimed } => {
                for (settled, applied) in turn.outcomes.iter().zip(applied) {
                    let job = &state.queue.jobs[settled.job];
                    if settled.verb == Verb::Done && !applied && job.completed_in == Some(settled.epoch) {
                        state.outside.own_completion_refused = true;
                    }
                }
                for (job, epoch) in claimed {
                    worker.runs.insert(Run { job, epoch, sending: false, accepted: false, lost: false });
                }
            }
        }
    }

    fn finish(state: &mut State, number: usize, run: Run, verb: Verb) {
        let worker = &mut state.workers[number];
        worker.runs.remove(&run);
        if run.lost {
            return;
        }
        let unit = match verb {
            Verb::Retry | Verb::Release | Verb::Fail | Verb::Snooze | Verb::Stop => Use::NotUsed,
            Verb::Done if run.accepted => Use::Used,
            Verb::Done => Use::Unknown, // somebody began before: it may have been sent
        };
        worker.settled.push(Settled { job: run.job, epoch: run.epoch, verb, unit, delay: 0, then: false });
        worker.settled.sort_unstable();
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            queue: Machine::new(self.jobs, self.limit),
            workers: (0..self.workers).map(Worker::new).collect(),
            late: BTreeSet::new(),
            faults: self.faults,
            down: false,
            outside: Outside::default(),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let faults = &state.faults;
        for (number, worker) in state.workers.iter().enumerate() {
            for run in worker.runs.iter().filter(|run| run.sending && !run.accepted) {
                actions.push(Action::Accept(number, *run)); // the provider does not ask how the worker is
            }
            if worker.frozen {
                actions.push(Action::Thaw(number));
                continue;
            }
            for run in &worker.runs {
                let trusted = state.queue.now < worker.lease_until && !run.lost;
                let began = state.outside.began.contains(&run.job);
                if !began && (trusted || self.broken == Broken::SendsWithoutLease) {
                    actions.push(Action::Begin(number, *run));
                }
                if run.accepted || (began && !run.sending) {
                    actions.push(Action::Finish(number, *run, Verb::Done));
                }
                if !began && faults.retries > 0 {
                    actions.push(Action::Finish(number, *run, Verb::Retry));
                    actions.push(Action::Finish(number, *run, Verb::Release));
                }
            }
            if faults.crashes > 0 && (worker.busy() || worker.pending.is_some()) {
                actions.push(Action::Crash(number));
            }
            if faults.freezes > 0 && (worker.busy() || worker.pending.is_some()) {
                actions.push(Action::Freeze(number));
            }
            if state.down {
                continue;
            }
            if !worker.open {
                actions.push(Action::Open(number));
                continue;
            }
            if faults.stops > 0 && worker.pending.is_none() && worker.busy() {
                actions.push(Action::Stop(number));
            }
            let idle = worker.pending.is_none() && !worker.busy();
            // A turn that neither says nor takes anything changes nothing; but on its way it may come late.
            let tells = worker.pending.is_some() || !worker.settled.is_empty() || (idle && state.queue.has_work());
            if tells {
                actions.push(Action::Turn(number, Delivery::Answered));
                if faults.lost_answers > 0 {
                    actions.push(Action::Turn(number, Delivery::AnswerLost));
                }
            }
            if faults.late_turns > 0 && (tells || idle) {
                actions.push(Action::Turn(number, Delivery::Late));
            }
        }
        if state.queue.now < self.time {
            actions.push(Action::Time { unheard: None });
            if faults.lost_answers > 0 && !state.down {
                for (number, _) in state.workers.iter().enumerate().filter(|(_, worker)| worker.open && !worker.frozen)
                {
                    actions.push(Action::Time { unheard: Some(number) });
                }
            }
        }
        if state.down {
            actions.push(Action::Up);
            return;
        }
        actions.extend(state.late.iter().cloned().map(Action::LateTurn));
        if faults.outages > 0 {
            actions.push(Action::Down);
        }
        if faults.cancels > 0 {
            let open = (0..self.jobs).filter(|id| !state.queue.jobs[*id].ended() && !state.queue.jobs[*id].cancel);
            actions.extend(open.map(Action::Cancel));
        }
        if state.queue.would_rescue() {
            actions.push(Action::Tick);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        let faults = &mut state.faults;
        match action {
            Action::Open(number) => self.open(&mut state, number),
            Action::Turn(number, delivery) => {
                let turn = Self::begin_turn(&mut state.workers[number]);
                match delivery {
                    Delivery::Answered => {
                        let answer = state.queue.turn(&turn, self.broken);
                        Self::answered(&mut state, number, &turn, answer);
                    }
                    Delivery::AnswerLost => {
                        faults.lost_answers -= 1;
                        state.queue.turn(&turn, self.broken);
                    }
                    Delivery::Late => {
                        faults.late_turns -= 1;
                        state.late.insert(turn);
                    }
                }
            }
            Action::LateTurn(turn) => {
                state.late.remove(&turn);
                state.queue.turn(&turn, self.broken);
            }
            Action::Begin(number, run) => {
                state.outside.began.insert(run.job);
                state.workers[number].runs.remove(&run);
                state.workers[number].runs.insert(Run { sending: true, ..run });
            }
            Action::Accept(number, run) => {
                state.outside.sends += 1;
                state.workers[number].runs.remove(&run);
                state.workers[number].runs.insert(Run { accepted: true, ..run });
            }
            Action::Finish(number, run, verb) => {
                if verb != Verb::Done {
                    faults.retries -= 1;
                }
                Self::finish(&mut state, number, run, verb);
            }
            Action::Crash(number) => {
                faults.crashes -= 1;
                let worker = &mut state.workers[number];
                // What was on its way may still be accepted: the worst case for the cap.
                let on_the_way = worker.runs.iter().filter(|run| run.sending && !run.accepted).count();
                state.outside.sends += u8::try_from(on_the_way).unwrap_or(u8::MAX);
                worker.runs.clear();
                worker.begin_anew();
            }
            Action::Freeze(number) => {
                faults.freezes -= 1;
                state.workers[number].frozen = true;
            }
            Action::Thaw(number) => state.workers[number].frozen = false,
            Action::Stop(number) => {
                faults.stops -= 1;
                let worker = &mut state.workers[number];
                let on_the_way = worker.runs.iter().filter(|run| run.sending && !run.accepted).count();
                state.outside.sends += u8::try_from(on_the_way).unwrap_or(u8::MAX);
                let token = worker.token;
                worker.runs.clear();
                worker.begin_anew();
                state.queue.close(token, self.broken);
            }
            Action::Cancel(id) => {
                faults.cancels -= 1;
                state.queue.cancel(id);
            }
            Action::Tick => self.tick(&mut state),
            Action::Down => {
                faults.outages -= 1;
                state.down = true;
            }
            Action::Up => state.down = false,
            Action::Time { unheard } => {
                if unheard.is_some() {
                    faults.lost_answers -= 1;
                }
                self.pass(&mut state, unheard);
            }
        }
        (state != *last).then_some(state)
    }

    /// A twin may make workers ask again and again.
    fn within_boundary(&self, state: &State) -> bool {
        state.workers.iter().all(|worker| worker.sequence < 12)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}
