//! Calls of sessions that may be lost, repeated, or late.

use std::collections::BTreeSet;

use super::{
    carried::{Carried, WORK, failed, token_bytes},
    steps::{Delivery, Ending, How, Unit, Whose},
};
use crate::{
    id::JobId,
    link::Args,
    model::machine::{self, FAR, Id, Settled, Time, Token, Use, Verb},
    outcome::{CapUse, Done, Stop},
    record::{JobRecord, JobState},
    script,
    session::{self, Settling, read_turn, turn_args},
    wire::{self, Names},
};

/// Where the number of jobs wanted stands among the arguments of a turn.
const WANT: usize = 2;

#[derive(Debug, Clone)]
pub(super) enum Call {
    Turn {
        args: Args,
        turn: machine::Turn,
        /// The job that one of its completions brings along.
        then: Option<JobId>,
    },
    Suspect {
        args: Args,
        token: Token,
        sequence: u8,
    },
}

/// What a session was told: nothing, or jobs with their epochs.
type Told = Option<Vec<(Id, u8)>>;

impl Call {
    /// As a worker sends it once more: what it did not get then it does not want now.
    fn again(mut self) -> Self {
        if let Self::Turn { args, turn, .. } = &mut self {
            args[WANT] = b"0".to_vec();
            turn.want = 0;
        }
        self
    }
}

fn verb(how: How) -> Verb {
    match how {
        How::Done | How::DoneThen => Verb::Done,
        How::Retry => Verb::Retry,
        How::Snooze => Verb::Snooze,
        How::Fail => Verb::Fail,
        How::Stop => Verb::Stop,
        How::Release => Verb::Release,
    }
}

impl Carried<'_> {
    pub(super) async fn turn(
        &mut self,
        number: usize,
        endings: &[Ending],
        want: u8,
        delivery: Delivery,
    ) -> Result<(), String> {
        if self.workers[number].token.is_none() {
            self.beat(number).await?;
        }
        let Some(token) = self.workers[number].token else { return Ok(()) };
        let call = match self.workers[number].turn.take() {
            Some(call) => {
                self.happened.note("repeats", 1);
                call.again()
            }
            None => self.new_turn(number, token, endings, want, delivery != Delivery::Held),
        };
        self.happened.note("turns", 1);
        if let Some(told) = self.send(&call, delivery).await? {
            match told {
                None => self.begin_anew(number),
                Some(jobs) => self.workers[number].take(jobs),
            }
        } else {
            self.workers[number].turn = Some(call);
        }
        Ok(())
    }

    pub(super) async fn suspect(&mut self, number: usize, delivery: Delivery) -> Result<(), String> {
        if self.workers[number].token.is_none() {
            self.beat(number).await?;
        }
        let worker = &mut self.workers[number];
        let Some(token) = worker.token else { return Ok(()) };
        let call = worker.suspect.take().unwrap_or_else(|| {
            worker.suspects += 1;
            let sequence = worker.suspects;
            let args = vec![token_bytes(token), sequence.to_string().into_bytes(), WORK.as_str().into()];
            Call::Suspect { args, token, sequence }
        });
        if let Some(told) = self.send(&call, delivery).await? {
            let jobs = told.unwrap_or_default();
            self.happened.note("suspects given out", jobs.len());
            self.workers[number].take(jobs);
        } else {
            self.workers[number].suspect = Some(call);
        }
        Ok(())
    }

    /// What the caller hears, if it hears anything.
    async fn send(&mut self, call: &Call, delivery: Delivery) -> Result<Option<Told>, String> {
        self.late.push(call.clone());
        match delivery {
            Delivery::Answered => self.deliver(call).await.map(Some),
            Delivery::Unheard => {
                self.happened.note("lost answers", 1);
                self.deliver(call).await.map(|_| None)
            }
            Delivery::Held => Ok(None),
        }
    }

    pub(super) async fn deliver_late(&mut self, pick: u8, suspect: bool) -> Result<(), String> {
        // One for a suspect matters only as long as its session lives.
        let mut calls = self.late.iter().filter(|call| match call {
            Call::Suspect { token, .. } => suspect && self.model.knows(*token),
            Call::Turn { .. } => !suspect,
        });
        let Some(place) = usize::from(pick).checked_rem(calls.clone().count()) else { return Ok(()) };
        let Some(call) = calls.nth(place).cloned() else { return Ok(()) };
        self.happened.note("late calls", 1);
        self.deliver(&call).await.map(drop)
    }

    /// Carries a call out on both sides, and compares the answers.
    async fn deliver(&mut self, call: &Call) -> Result<Told, String> {
        match call {
            Call::Turn { args, turn, then } => {
                let value = self.client.link().call(&script::TURN, 0, args).await.map_err(failed)?;
                let (stale, claims, more) = match read_turn(0, value).map_err(failed)? {
                    session::Answer::Gone => (None, Vec::new(), false),
                    session::Answer::Taken(taken) => {
                        if taken.verdicts.contains(&session::Verdict::Again) {
                            return Err("time passed in a turn although the clock stands still".to_owned());
                        }
                        let stale = taken.verdicts.iter().map(|verdict| *verdict == session::Verdict::Stale);
                        let (stale, more) = (stale.collect::<Vec<_>>(), taken.more);
                        (Some(stale), taken.read().map_err(failed)?.records, more)
                    }
                };
                let claimed = self.claimed(&claims);
                let ended = self.ended_meanwhile(*then).await?;
                let ids: Vec<Id> = claimed.iter().map(|(id, _)| *id).collect();
                let answer = self.model.turn_as(turn, &ids, &ended, more)?;
                if self.model.jobs.len() > self.ids.len() {
                    self.ids.extend(*then);
                    self.new.push(None);
                }
                let expected = match answer {
                    machine::Answer::Gone => (None, Vec::new()),
                    machine::Answer::Taken { applied, claimed } => {
                        self.happened.note("outcomes applied", applied.iter().filter(|applied| **applied).count());
                        self.happened.note("outcomes refused", applied.iter().filter(|applied| !**applied).count());
                        (Some(applied.iter().map(|applied| !applied).collect::<Vec<_>>()), claimed)
                    }
                };
                if (&stale, &claimed) != (&expected.0, &expected.1) {
                    return Err(format!(
                        "a turn was answered: stale outcomes {stale:?}, claims {claimed:?}; by the model: {:?}, {:?}",
                        expected.0, expected.1
                    ));
                }
                self.happened.note("claims", claimed.len());
                Ok(stale.map(|_| claimed))
            }
            Call::Suspect { args, token, sequence } => {
                let value = self.client.link().call(&script::SUSPECT, 0, args).await.map_err(failed)?;
                let claimed = self.read_suspect(wire::list(value).map_err(failed)?)?;
                let ended = self.ended_meanwhile(None).await?;
                let given = claimed.first().map(|(id, _)| *id);
                let expected = self.model.suspect_as(*token, *sequence, given, &ended)?;
                if claimed.first() != expected.as_ref() {
                    return Err(format!("a suspect was given out: {claimed:?}; by the model: {expected:?}"));
                }
                Ok(Some(claimed))
            }
        }
    }

    fn read_suspect(&self, values: Vec<redis::Value>) -> Result<Vec<(Id, u8)>, String> {
        let Ok([_, jobs, lanes, kinds, now]) = <[redis::Value; 5]>::try_from(values) else {
            return Ok(Vec::new());
        };
        let names = Names::read(lanes, kinds).map_err(failed)?;
        let now = wire::time(wire::integer(&now).map_err(failed)?.unsigned_abs()).map_err(failed)?;
        let mut records = Vec::new();
        for pair in wire::list(jobs).map_err(failed)?.chunks_exact(2) {
            let id = JobId::from_tail(0, &wire::bytes(pair[0].clone()).map_err(failed)?).map_err(failed)?;
            let raw = wire::bytes(pair[1].clone()).map_err(failed)?;
            records.push(wire::claimed(id, &raw, &names, now).map_err(failed)?);
        }
        Ok(self.claimed(&records))
    }

    fn claimed(&self, records: &[JobRecord]) -> Vec<(Id, u8)> {
        records.iter().map(|record| (self.id_of(record.id), u8::try_from(record.epoch).unwrap_or(u8::MAX))).collect()
    }

    /// Jobs of cancelled lanes whose end was written; perhaps that of one which the call itself brought along.
    async fn ended_meanwhile(&self, then: Option<JobId>) -> Result<BTreeSet<Id>, String> {
        let ids: Vec<JobId> = self.ids.iter().copied().chain(then).collect();
        let records = self.records(&ids).await.map_err(failed)?;
        let ended = |id: &Id| {
            let cancelled = records[*id].as_ref().is_some_and(|record| record.state == JobState::Cancelled);
            cancelled && self.model.jobs.get(*id).is_none_or(|job| !job.ended())
        };
        Ok((0..records.len()).filter(ended).collect())
    }

    fn new_turn(&mut self, number: usize, token: Token, endings: &[Ending], want: u8, may_follow: bool) -> Call {
        let (mut outcomes, mut settled, mut then) = (Vec::new(), Vec::new(), None);
        for &ending in endings {
            let Some((job, epoch)) = self.chosen(number, ending) else { continue };
            if settled.iter().any(|other: &Settled| other.job == job) {
                continue;
            }
            if matches!(ending.whose, Whose::Own) {
                self.workers[number].runs.retain(|run| run.job != job);
            }
            let follows = matches!(ending.how, How::DoneThen) && may_follow && then.is_none();
            let mut done = Done::empty().cap(cap_of(ending.unit));
            if follows {
                let (id, follow_up) = self.follow_up();
                then = Some(id);
                done = done.then(follow_up);
            }
            let until = match ending.delay.time() {
                FAR => FAR,
                delay => self.model.now.saturating_add(delay),
            };
            outcomes.push(self.settling(job, epoch, token, ending, done, until));
            let verb = verb(ending.how);
            let unit = match (ending.unit, verb) {
                (Unit::Default, Verb::Done) => Use::Used,
                (Unit::Unknown, Verb::Done | Verb::Retry | Verb::Snooze | Verb::Fail) => Use::Unknown,
                _ => Use::NotUsed,
            };
            let delay = if verb == Verb::Snooze { until } else { ending.delay.time() };
            settled.push(Settled { job, epoch, verb, unit, delay, then: follows });
        }
        let worker = &mut self.workers[number];
        worker.sequence += 1;
        let name = token_bytes(token).try_into().unwrap_or_default();
        let mut turn =
            session::Turn { shard: 0, token: name, sequence: worker.sequence.into(), want: want.into(), outcomes };
        let args = turn_args(&mut turn, &[WORK], "");
        let place = |id: JobId| turn.outcomes.iter().position(|outcome| outcome.id == id);
        settled.sort_by_key(|settled| place(self.ids[settled.job]));
        let turn = machine::Turn { token, sequence: worker.sequence, outcomes: settled, want: want.into() };
        Call::Turn { args, turn, then }
    }

    /// The run whose end is told; a stranger's, with luck.
    fn chosen(&self, number: usize, ending: Ending) -> Option<(Id, u8)> {
        let pick = usize::from(ending.run);
        if matches!(ending.whose, Whose::Any) {
            let id = pick.checked_rem(self.model.jobs.len())?;
            return Some((id, self.model.jobs[id].epoch));
        }
        let runs = &self.workers[number].runs;
        let run = runs[pick.checked_rem(runs.len())?];
        Some((run.job, run.epoch - u8::from(matches!(ending.whose, Whose::Earlier))))
    }

    fn settling(&self, job: Id, epoch: u8, token: Token, ending: Ending, done: Done, until: Time) -> Settling {
        let (id, name, epoch) = (self.ids[job], token_bytes(token).try_into().unwrap_or_default(), u32::from(epoch));
        let cap = cap_of(ending.unit);
        let outcome = match ending.how {
            How::Done | How::DoneThen => Ok(done),
            How::Retry => Err(Stop::retry_after("not today", ending.delay.length()).with_cap(cap)),
            How::Snooze => Err(Stop::snooze(self.instant(until), "later").with_cap(cap)),
            How::Fail => Err(Stop::fail("never").with_cap(cap)),
            How::Stop => Err(Stop::Cancelled),
            How::Release => return Settling::release(id, epoch, name),
        };
        Settling::of(&self.run_of(job), outcome, id, epoch, name)
    }
}

fn cap_of(unit: Unit) -> CapUse {
    match unit {
        Unit::Default => CapUse::Default,
        Unit::NotUsed => CapUse::NotUsed,
        Unit::Unknown => CapUse::Unknown,
    }
}
