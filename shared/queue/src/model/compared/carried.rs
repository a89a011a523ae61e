//! Carries steps out, on both sides.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{
    calls::Call,
    jobs::unique,
    picture::{Happened, difference},
    steps::{Delay, Delivery, Ending, How, Kept, Step, Unit, Whose},
    worker::Worker,
};
use crate::{
    client::QueueClient,
    id::JobId,
    job::NewJob,
    lane::Lane,
    leaping::Server,
    model::machine::{self, Broken, FAR, Id, Machine, New, Rules, SHORT, Scope, State, Time, Token},
    name::{LaneName, QueueName, ScopeKey, Tenant},
};

/// When a case begins, in ms since 1970: 2026-01-01. Times of the model are seconds from then on.
pub(super) const START: i64 = 1_767_225_600_000;
pub(super) const WORK: QueueName = QueueName::new("work");
pub(super) const HOUR: Duration = Duration::from_hours(1);

pub(super) const RULES: Rules = Rules { ttl: 8, gap: 2, grace: 6, suspect_from: 2, max_snoozes: 2, history: true };
/// Lanes by the scopes they name. The first scope allows one job in flight, the second a few units.
pub(super) const LANES: [&[usize]; 4] = [&[], &[0], &[1], &[0, 1]];
/// The period of a unique key.
pub(super) const PERIOD: Time = 5;
/// No step lets time pass from then on, so that a case fits the clock of the model.
const LATE: Time = 170;
pub(super) const UNLIMITED: u8 = u8::MAX;

pub(super) fn token_bytes(token: Token) -> Vec<u8> {
    u64::from(token).to_be_bytes().to_vec()
}

pub(super) fn scope(number: usize) -> ScopeKey {
    ScopeKey::parse(format!("scope:{number}")).unwrap()
}

pub(super) fn lane(number: usize) -> Lane {
    let scopes = LANES[number].iter().map(|number| scope(*number)).collect();
    Lane::with_scopes(LaneName::parse(format!("lane{number}")).unwrap(), scopes)
}

pub(super) fn failed(error: impl std::fmt::Display) -> String {
    format!("a call failed: {error}")
}

impl Delay {
    pub(super) fn time(self) -> Time {
        match self {
            Self::None => 0,
            Self::Seconds(seconds) => seconds,
            Self::Long => FAR,
        }
    }

    pub(super) fn length(self) -> Duration {
        match self.time() {
            FAR => 3 * HOUR,
            seconds => Duration::from_secs(seconds.into()),
        }
    }
}

pub(super) struct Carried<'a> {
    server: &'a Server,
    pub(super) client: &'a QueueClient,
    pub(super) tenant: Tenant,
    pub(super) model: Machine,
    /// By their numbers in the model.
    pub(super) ids: Vec<JobId>,
    /// As what they were enqueued, unless a completion brought them along.
    pub(super) new: Vec<Option<(NewJob, New)>>,
    /// Jobs that took the place of these.
    pub(super) replacing: Vec<(NewJob, Id)>,
    pub(super) made: u64,
    pub(super) workers: [Worker; 3],
    /// Names of sessions given so far.
    pub(super) tokens: Token,
    /// Calls of old, which may arrive late, and again and again.
    pub(super) late: Vec<Call>,
    pub(super) happened: Happened,
}

impl<'a> Carried<'a> {
    pub(super) async fn begin(server: &'a Server, client: &'a QueueClient) -> Self {
        let scopes = vec![Scope { flights: 1, limit: 200, ..Scope::default() }, Scope { limit: 4, ..Scope::default() }];
        let lanes = LANES.iter().map(|scopes| machine::Lane::under(scopes)).collect();
        let carried = Self {
            server,
            client,
            tenant: Tenant::parse("acme").unwrap(),
            model: Machine::empty(RULES, lanes, scopes),
            ids: Vec::new(),
            new: Vec::new(),
            replacing: Vec::new(),
            made: 0,
            workers: Default::default(),
            tokens: 0,
            late: Vec::new(),
            happened: Happened::default(),
        };
        let _: redis::Value = client.link().at(0).unwrap().command(&redis::cmd("FLUSHALL")).await.unwrap();
        carried.show_time();
        carried
    }

    pub(super) async fn all(&mut self, steps: &[Step]) -> Result<(), String> {
        for number in 0..self.model.scopes.len() {
            self.define(number).await?;
        }
        self.tick().await?;
        for (place, step) in steps.iter().enumerate() {
            let carried = self.step(step).await;
            if let Err(difference) = match carried {
                Ok(()) => self.compare().await,
                failed => failed,
            } {
                return Err(format!("after step {place}, {step:?}:\n{difference}"));
            }
        }
        self.end_all().await.map_err(|difference| format!("when all was let go on to its end:\n{difference}"))
    }

    async fn compare(&self) -> Result<(), String> {
        let records = self.records(&self.ids).await.map_err(failed)?;
        let scripts = self.of_scripts(&records).await.map_err(failed)?;
        difference(&scripts, &self.of_model()).map_or(Ok(()), Err)
    }

    fn show_time(&self) {
        self.server.stand_still(&self.instant(self.model.now).format("%Y-%m-%d %H:%M:%S").to_string());
    }

    pub(super) fn instant(&self, time: Time) -> DateTime<Utc> {
        let seconds = if time == FAR { i64::from(self.model.now) + 3 * 3600 } else { i64::from(time) };
        DateTime::from_timestamp_millis(START + 1000 * seconds).unwrap()
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Enqueue { lane, delay, max_attempts, kept, key } => {
                let new = New {
                    lane: usize::from(*lane) % LANES.len(),
                    delay: delay.time(),
                    max_attempts: *max_attempts,
                    keep: if matches!(kept, Kept::Short) { SHORT } else { FAR },
                    unique: key.map(unique),
                    origin: None,
                };
                self.enqueue(new).await
            }
            Step::EnqueueAgain(pick) => self.enqueue_again(*pick).await,
            Step::Redrive(pick) => self.redrive(*pick).await,
            Step::Beat(worker) => self.beat((*worker).into()).await,
            Step::LateBeat(pick) => match pick.checked_rem(self.tokens) {
                Some(token) => self.renew(token, false).await.map(drop),
                None => Ok(()),
            },
            Step::Turn { worker, endings, want, delivery } => {
                self.turn((*worker).into(), endings, *want, *delivery).await
            }
            Step::Suspect { worker, delivery } => self.suspect((*worker).into(), *delivery).await,
            Step::LateCall { pick, suspect } => self.deliver_late(*pick, *suspect).await,
            Step::Begin(worker) => self.begin_handlers((*worker).into()).await,
            Step::Crash(worker) => {
                self.begin_anew((*worker).into());
                Ok(())
            }
            Step::Die { worker, want, begun } => {
                self.turn((*worker).into(), &[], *want, Delivery::Answered).await?;
                if *begun {
                    self.begin_handlers((*worker).into()).await?;
                }
                self.begin_anew((*worker).into());
                self.pass(RULES.ttl + 1, true).await
            }
            Step::Close(worker) => self.close((*worker).into()).await,
            Step::Pass { seconds, beating } => self.pass(*seconds, *beating).await,
            Step::Outage(seconds) => {
                if self.model.now < LATE {
                    self.model.now += seconds;
                    self.show_time();
                }
                self.tick().await
            }
            Step::Archive(most) => self.archive((*most).into()).await,
            _ => self.control(step).await,
        }
    }

    async fn pass(&mut self, seconds: u8, beating: bool) -> Result<(), String> {
        if self.model.now >= LATE {
            return Ok(());
        }
        self.let_pass(seconds, beating).await
    }

    async fn let_pass(&mut self, seconds: u8, beating: bool) -> Result<(), String> {
        for _ in 0..seconds {
            self.model.now += 1;
            self.show_time();
            for number in 0..self.workers.len() {
                if beating && self.workers[number].token.is_some() {
                    self.beat(number).await?;
                }
            }
            self.tick().await?;
        }
        Ok(())
    }

    async fn tick(&mut self) -> Result<(), String> {
        let ticked = self.client.tick().await.map_err(failed)?;
        if let Some(token) = self.model.tick(Broken::Nothing) {
            self.happened.note("sessions rescued", 1);
            let lives = self.workers.iter().any(|worker| worker.token == Some(token));
            self.happened.note("jobs rescued", usize::try_from(ticked.rescued).unwrap_or(0));
            self.happened.note("of living workers", usize::from(lives));
        }
        Ok(())
    }

    /// Nothing stands in the way any more, and workers do what they find: every job comes to its end, and no unit stays reserved.
    async fn end_all(&mut self) -> Result<(), String> {
        self.pause_queue(false).await?;
        for number in 0..LANES.len() {
            self.pause_lane(number, false).await?;
        }
        for number in 0..self.model.scopes.len() {
            let scope = &mut self.model.scopes[number];
            (scope.limit, scope.flights, scope.paused) = (UNLIMITED, UNLIMITED, false);
            self.define(number).await?;
        }
        let done = Ending { whose: Whose::Own, run: 0, how: How::Done, unit: Unit::Default, delay: Delay::None };
        for _ in 0..60 {
            for number in 0..self.workers.len() {
                self.beat(number).await?;
                self.suspect(number, Delivery::Answered).await?;
                self.turn(number, &[done; 8], 8, Delivery::Answered).await?;
            }
            for id in 0..self.ids.len() {
                if matches!(self.model.jobs[id].state, State::Scheduled(FAR) | State::Retryable(FAR)) {
                    self.promote(u8::try_from(id).unwrap_or_default()).await?;
                }
            }
            self.compare().await?;
            if self.model.jobs.iter().all(machine::Job::ended) {
                let open = self.model.scopes.iter().any(|scope| scope.open > 0);
                return if open { Err("units stay reserved".to_owned()) } else { Ok(()) };
            }
            self.let_pass(1, true).await?;
        }
        Err("jobs are left that nobody takes".to_owned())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "what is compared is of no further use")]
pub(super) fn same<T: PartialEq + std::fmt::Debug>(what: &str, scripts: T, model: T) -> Result<(), String> {
    if scripts == model { Ok(()) } else { Err(format!("{what} is answered {scripts:?}; by the model: {model:?}")) }
}
