//! Workers.

use std::{sync::LazyLock, time::Duration};

use super::world::{Known, QUEUES, SCOPES, TENANTS, World, failed, scope};
use crate::{
    id::JobId,
    name::Tenant,
    outcome::{CapUse, Done, Stop},
    policy::{Backoff, Policy, RetryPolicy},
    record::JobRecord,
    scope::CapUnit,
    script::{self, Script, in_small_slices, with_little_room, without_time},
    session::{self, Run, Settling, Token, Verdict, read_turn, turn_args},
    wire::{self, Names},
};

/// Its time is over as soon as it begins.
static IMPATIENT_TURN: LazyLock<Script> = LazyLock::new(|| without_time(&script::TURN));
/// It takes back three jobs at a time.
static IMPATIENT_CLOSE: LazyLock<Script> = LazyLock::new(|| in_small_slices(&script::CLOSE));
/// To it, jobs are large.
static FRUGAL_TURN: LazyLock<Script> = LazyLock::new(|| with_little_room(&script::TURN));

#[derive(Debug)]
struct Limited {
    what: String,
    is: u64,
    most: u64,
}

#[derive(Default)]
pub(super) struct Worker {
    pub(super) token: Option<Token>,
    sequence: u64,
    suspects: u64,
    pub(super) runs: Vec<JobRecord>,
}

fn run_of(record: &JobRecord) -> Run {
    let backoff = Backoff { base: Duration::ZERO, factor: 1.0, max: Duration::ZERO };
    Run {
        tenant: record.tenant.as_str().to_owned(),
        attempt: record.attempt,
        max_attempts: record.max_attempts,
        snoozes: record.snoozes,
        policy: Policy {
            retry: RetryPolicy { max_attempts: 3, backoff },
            timeout: Duration::from_mins(1),
            max_snoozes: 2,
        },
    }
}

impl World<'_> {
    async fn renew(&mut self, number: usize) -> Result<Token, String> {
        let open = self.workers[number].token.is_none();
        if open {
            self.tokens += 1;
        }
        let token = self.workers[number].token.unwrap_or((self.tokens << 8).to_be_bytes());
        let args = vec![token.to_vec(), b"8000".to_vec(), if open { "1" } else { "0" }.into()];
        let answer = self.client.link().call(&script::RENEW, 0, &args).await.and_then(wire::list).map_err(failed)?;
        self.workers[number].token = Some(token);
        if wire::integer(&answer[0]).map_err(failed)? == 0 {
            self.workers[number] = Worker::default();
        }
        Ok(token)
    }

    pub(super) async fn beat_all(&mut self) -> Result<(), String> {
        for number in 0..self.workers.len() {
            if self.workers[number].token.is_some() {
                self.renew(number).await?;
            }
        }
        Ok(())
    }

    async fn token(&mut self, number: usize) -> Result<Token, String> {
        match self.workers[number].token {
            Some(token) => Ok(token),
            None => self.renew(number).await,
        }
    }

    pub(super) async fn turn(&mut self, number: usize) -> Result<(), String> {
        let (mut outcomes, mut done) = (Vec::new(), Vec::new());
        let token = self.token(number).await?;
        let left = self.dice.below(self.workers[number].runs.len() + 1);
        let ending: Vec<_> = self.workers[number].runs.drain(left..).collect();
        for record in ending {
            let (outcome, completes) = self.outcome(&record, token);
            if completes {
                done.push(record.id);
            }
            outcomes.push(outcome);
        }
        let want = *self.dice.of_list(&[0, 1, 1, 2, 4, 20]);
        self.told(format!("worker {number} ends {} and wants {want}", outcomes.len()));
        self.send_turn(number, token, outcomes, &done, want).await
    }

    pub(super) async fn send_turn(
        &mut self,
        number: usize,
        token: Token,
        outcomes: Vec<Settling>,
        done: &[JobId],
        want: usize,
    ) -> Result<(), String> {
        let before = self.limited().await?;
        let worker = &mut self.workers[number];
        worker.sequence += 1;
        let mut turn = session::Turn { shard: 0, token, sequence: worker.sequence, want, outcomes };
        let queues = if self.dice.odds(60) { QUEUES.to_vec() } else { vec![self.dice.of_list(&QUEUES).clone()] };
        let args = turn_args(&mut turn, &queues, "0123456789abcdef");
        let impatient = self.dice.odds(30);
        let frugal = !impatient && self.dice.odds(30);
        let script: &Script = match () {
            () if impatient => &IMPATIENT_TURN,
            () if frugal => &FRUGAL_TURN,
            () => &script::TURN,
        };
        let mut value = self.client.link().call(script, 0, &args).await.map_err(failed)?;
        self.none_exceeded(&before).await?;
        if self.dice.odds(10) {
            let mut again = args.clone();
            again[2] = b"0".to_vec();
            value = self.client.link().call(&script::TURN, 0, &again).await.map_err(failed)?;
        }
        let session::Answer::Taken(answer) = read_turn(0, value).map_err(failed)? else {
            self.workers[number] = Worker::default();
            return Ok(());
        };
        let mut again = Vec::new();
        for (outcome, verdict) in turn.outcomes.iter().zip(&answer.verdicts) {
            if *verdict == Verdict::Again && !impatient {
                return Err("no time although the clock stands still".to_owned());
            }
            if *verdict == Verdict::Again {
                again.push(outcome.id);
            }
            if *verdict == Verdict::Applied && done.contains(&outcome.id) {
                let known = self.jobs.entry(outcome.id).or_insert(Known { job: None, completed: 0, forgotten: false });
                known.completed += 1;
                if known.completed > 1 {
                    return Err(format!("{} completed twice", outcome.id));
                }
            }
        }
        let claims = answer.read().map_err(failed)?;
        if let Some((id, _, why)) = claims.unreadable.first() {
            return Err(format!("{id} cannot be read: {why}"));
        }
        self.take(number, claims.records);
        turn.outcomes.retain(|outcome| again.contains(&outcome.id));
        if turn.outcomes.is_empty() {
            return Ok(());
        }
        Box::pin(self.send_turn(number, token, turn.outcomes, done, want)).await
    }

    /// What caps count in their windows, with what is reserved, and what is in flight.
    async fn limited(&self) -> Result<Vec<Limited>, String> {
        let mut limited = Vec::new();
        for name in TENANTS {
            for number in 0..SCOPES {
                let state = self.client.scope(&Tenant::parse(name).unwrap(), &scope(number)).await.map_err(failed)?;
                let Some(state) = state else { continue };
                let most = self.flights.get(&(name.to_owned(), number)).copied().unwrap_or(u64::MAX);
                limited.push(Limited {
                    what: format!("jobs in flight of {name}, {number}"),
                    is: state.in_flight,
                    most,
                });
                if state.paused || state.closed.is_some() {
                    limited.push(Limited {
                        what: format!("units of {name}, {number}, closed"),
                        is: state.reserved,
                        most: 0,
                    });
                }
                for (place, cap) in state.caps.iter().enumerate().filter(|(_, cap)| cap.unit == CapUnit::Sends) {
                    let what = format!("cap {place} of {name}, {number}");
                    limited.push(Limited { what, is: cap.used + state.reserved, most: cap.limit });
                }
            }
        }
        Ok(limited)
    }

    async fn none_exceeded(&self, before: &[Limited]) -> Result<(), String> {
        let after = self.limited().await?;
        for (before, after) in before.iter().zip(&after) {
            if before.what != after.what || after.is > after.most.max(before.is) {
                return Err(format!("exceeded: {after:?}, before {before:?}"));
            }
        }
        Ok(())
    }

    fn take(&mut self, number: usize, records: Vec<JobRecord>) {
        for record in &records {
            self.jobs.entry(record.id).or_insert(Known { job: None, completed: 0, forgotten: false });
        }
        self.workers[number].runs.extend(records);
    }

    fn outcome(&mut self, record: &JobRecord, token: Token) -> (Settling, bool) {
        let run = run_of(record);
        let cap = *self.dice.of_list(&[
            CapUse::Default,
            CapUse::Default,
            CapUse::NotUsed,
            CapUse::Unknown,
            CapUse::Used(self.instant(-2)),
        ]);
        let outcome = match self.dice.below(20) {
            0 | 1 => {
                let delay = *self.dice.of_list(&[0, 0, 3, 5000, 20_000]);
                Err(Stop::retry_after("not today", Duration::from_secs(delay)).with_cap(cap))
            }
            2 => {
                let ahead = *self.dice.of_list(&[-1, 2, 50, 9000, 400_000]);
                Err(Stop::snooze(self.instant(ahead), "later").with_cap(cap))
            }
            3 | 4 => Err(Stop::fail("never").with_cap(cap)),
            5 => Err(Stop::Cancelled),
            6 => return (Settling::release(record.id, record.epoch, token), false),
            7 | 8 => {
                let job = self.any_job(&record.tenant);
                Ok(Done::with("an output").cap(cap).then(job))
            }
            9 => Ok(Done::with("an output").cap(cap)),
            _ => Ok(Done::empty().cap(cap)),
        };
        let completes = outcome.is_ok();
        (Settling::of(&run, outcome, record.id, record.epoch, token), completes)
    }

    pub(super) async fn finish_all(&mut self, number: usize) -> Result<(), String> {
        let token = self.token(number).await?;
        let ending: Vec<_> = self.workers[number].runs.drain(..).collect();
        let (mut outcomes, mut done) = (Vec::new(), Vec::new());
        for record in ending {
            let run = run_of(&record);
            let outcome = if record.cancel_requested { Err(Stop::Cancelled) } else { Ok(Done::empty()) };
            done.push(record.id);
            outcomes.push(Settling::of(&run, outcome, record.id, record.epoch, token));
        }
        self.send_turn(number, token, outcomes, &done, 30).await
    }

    pub(super) async fn suspect(&mut self, number: usize) -> Result<(), String> {
        let token = self.token(number).await?;
        self.told(format!("worker {number} asks for a suspect"));
        let worker = &mut self.workers[number];
        worker.suspects += 1;
        let mut args = vec![token.to_vec(), worker.suspects.to_string().into_bytes()];
        args.extend(QUEUES.iter().map(|queue| queue.as_str().into()));
        let values = self.client.link().call(&script::SUSPECT, 0, &args).await.and_then(wire::list).map_err(failed)?;
        let Ok([_, jobs, lanes, kinds, now]) = <[redis::Value; 5]>::try_from(values) else {
            self.workers[number] = Worker::default();
            return Ok(());
        };
        let names = Names::read(lanes, kinds).map_err(failed)?;
        let now = wire::time(wire::integer(&now).map_err(failed)?.unsigned_abs()).map_err(failed)?;
        let mut records = Vec::new();
        for pair in wire::list(jobs).map_err(failed)?.chunks_exact(2) {
            let id = JobId::from_tail(0, &wire::bytes(pair[0].clone()).map_err(failed)?).map_err(failed)?;
            records
                .push(wire::claimed(id, &wire::bytes(pair[1].clone()).map_err(failed)?, &names, now).map_err(failed)?);
        }
        self.take(number, records);
        Ok(())
    }

    /// It crashes, its handlers having begun or not, or it closes.
    pub(super) async fn end_worker(&mut self) -> Result<(), String> {
        let number = self.dice.below(3);
        let Some(token) = self.workers[number].token else { return Ok(()) };
        if self.dice.odds(30) {
            let impatient = self.dice.odds(60);
            self.told(format!("worker {number} closes, impatient {impatient}"));
            let script: &Script = if impatient { &IMPATIENT_CLOSE } else { &script::CLOSE };
            loop {
                let more = self.client.link().call(script, 0, &vec![token.to_vec()]).await;
                if more.and_then(|more| wire::integer(&more)).map_err(failed)? == 0 {
                    break;
                }
                self.check().await?;
                // A handler may end between two steps.
                if self.dice.odds(70) && self.workers[number].token == Some(token) {
                    self.turn(number).await?;
                }
            }
        } else {
            self.told(format!("worker {number} crashes"));
            for run in self.workers[number].runs.clone() {
                if self.dice.odds(70) {
                    let args = vec![token.to_vec(), run.id.tail().to_vec()];
                    self.client.link().call(&script::STARTED, 0, &args).await.map_err(failed)?;
                }
            }
        }
        self.workers[number] = Worker::default();
        Ok(())
    }

    pub(super) async fn close_all(&mut self) -> Result<(), String> {
        for number in 0..self.workers.len() {
            if let Some(token) = self.workers[number].token {
                let args = vec![token.to_vec()];
                self.client.link().call(&script::CLOSE, 0, &args).await.map_err(failed)?;
            }
            self.workers[number] = Worker::default();
        }
        Ok(())
    }

    /// A handler says how far it is, or writes its log.
    pub(super) async fn report(&mut self) -> Result<(), String> {
        let number = self.dice.below(3);
        let (Some(token), false) = (self.workers[number].token, self.workers[number].runs.is_empty()) else {
            return Ok(());
        };
        let run = self.dice.of_list(&self.workers[number].runs).clone();
        self.told(format!("{} reports", run.id));
        let (script, text) = if self.dice.odds(50) { (&script::PROGRESS, "{}") } else { (&script::LOG, "a line") };
        let args = vec![token.to_vec(), run.id.tail().to_vec(), run.epoch.to_string().into_bytes(), text.into()];
        self.client.link().call(script, 0, &args).await.map_err(failed)?;
        Ok(())
    }
}
