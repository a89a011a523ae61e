//! All that can be seen, of the scripts and of the model, line by line.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use futures::{future::try_join_all, try_join};
use redis::Value;

use super::carried::{Carried, START, WORK, scope, token_bytes};
use crate::{
    error::QueueError,
    id::JobId,
    model::machine::{FAR, Id, State, Time, Token},
    record::{JobRecord, JobState},
    script,
    wire::{self, Names},
};

/// What is said of each thing.
pub(super) type Picture = BTreeMap<String, String>;

/// How often what was done.
#[derive(Debug, Default, Clone)]
pub(super) struct Happened(BTreeMap<&'static str, u64>);

impl Happened {
    pub(super) fn note(&mut self, what: &'static str, times: usize) {
        *self.0.entry(what).or_default() += times as u64;
    }

    pub(super) fn add(&mut self, other: &Self) {
        other.0.iter().for_each(|(what, times)| *self.0.entry(what).or_default() += times);
    }
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = self.0.iter().map(|(what, times)| format!("{times} {what}")).collect::<Vec<_>>();
        list.sort();
        f.write_str(&list.join(", "))
    }
}

pub(super) fn state_of(state: State) -> Option<JobState> {
    match state {
        State::Scheduled(_) => Some(JobState::Scheduled),
        State::Available => Some(JobState::Available),
        State::Running(_) => Some(JobState::Running),
        State::Retryable(_) => Some(JobState::Retryable),
        State::Completed => Some(JobState::Completed),
        State::Cancelled => Some(JobState::Cancelled),
        State::Dead => Some(JobState::Dead),
        State::Gone => None,
    }
}

fn until(time: Time) -> String {
    if time == FAR { " for long".to_owned() } else { format!(" until {time}") }
}

/// Jobs in no certain order.
fn jobs(ids: impl IntoIterator<Item = (Id, u8)>) -> String {
    let ids: BTreeSet<_> = ids.into_iter().collect();
    ids.iter().map(|(id, epoch)| format!("{id} (epoch {epoch})")).collect::<Vec<_>>().join(", ")
}

impl Carried<'_> {
    pub(super) fn of_model(&self) -> Picture {
        let machine = &self.model;
        let mut picture = Picture::new();
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for (id, job) in machine.jobs.iter().enumerate() {
            let text = match state_of(job.state) {
                None => "no record".to_owned(),
                Some(state) => {
                    let more = match job.state {
                        State::Scheduled(time) | State::Retryable(time) => until(time),
                        State::Running(token) => format!(" by {token}"),
                        _ => String::new(),
                    };
                    if !(job.archived && job.state == State::Dead) {
                        *counts.entry(state.as_str()).or_default() += 1;
                    }
                    let asked = if job.cancel { ", asked to stop" } else { "" };
                    format!(
                        "{state}{more}, attempt {} of {}, epoch {}, {} snoozes, {} crashes{asked}",
                        job.attempt, job.max_attempts, job.epoch, job.snoozes, job.crashes
                    )
                }
            };
            picture.insert(format!("job {id}"), text);
        }
        counts.remove("cancelled"); // not among the figures
        picture.insert("counts".to_owned(), format!("{counts:?}"));
        for (number, scope) in machine.scopes.iter().enumerate() {
            let flying = scope.open - scope.idle;
            let text = format!("{} used, {} reserved, {flying} in flight", scope.used, scope.open);
            picture.insert(format!("scope {number}"), text);
        }
        picture.insert("dead letters".to_owned(), format!("{:?}", machine.dead));
        for token in 0..self.tokens {
            if machine.knows(token) {
                for suspects in [false, true] {
                    picture.insert(holding(token, suspects), jobs(machine.held(token, suspects)));
                }
            }
        }
        picture
    }

    pub(super) async fn of_scripts(&self, records: &[Option<JobRecord>]) -> Result<Picture, QueueError> {
        let mut picture = Picture::new();
        let work = WORK;
        let scopes =
            (0..self.model.scopes.len()).map(async |number| self.client.scope(&self.tenant, &scope(number)).await);
        let (holders, stats, scopes, letters, sessions) = try_join!(
            self.holders(),
            self.client.queue(&work),
            try_join_all(scopes),
            self.client.dead(0, 256),
            self.sessions(),
        )?;
        for (id, record) in records.iter().enumerate() {
            let text = match record {
                None => "no record".to_owned(),
                Some(record) => {
                    let more = match record.state {
                        JobState::Scheduled | JobState::Retryable => until(Self::time_of(record)),
                        JobState::Running => holders.get(&id).map_or_else(String::new, |token| format!(" by {token}")),
                        _ => String::new(),
                    };
                    let asked = if record.cancel_requested { ", asked to stop" } else { "" };
                    format!(
                        "{}{more}, attempt {} of {}, epoch {}, {} snoozes, {} crashes{asked}",
                        record.state, record.attempt, record.max_attempts, record.epoch, record.snoozes, record.crashes
                    )
                }
            };
            picture.insert(format!("job {id}"), text);
        }
        let counts = [
            ("available", stats.available),
            ("completed", stats.completed),
            ("dead", stats.dead),
            ("retryable", stats.retryable),
            ("running", stats.running),
            ("scheduled", stats.scheduled),
        ];
        let counts: BTreeMap<_, _> = counts.into_iter().filter(|(_, jobs)| *jobs > 0).collect();
        picture.insert("counts".to_owned(), format!("{counts:?}"));
        for (number, state) in scopes.into_iter().enumerate() {
            let text = state.map_or_else(String::new, |state| {
                format!("{} used, {} reserved, {} in flight", state.caps[0].used, state.reserved, state.in_flight)
            });
            picture.insert(format!("scope {number}"), text);
        }
        let letters: Vec<_> = letters.iter().map(|letter| self.id_of(letter.record.id)).collect();
        picture.insert("dead letters".to_owned(), format!("{letters:?}"));
        let link = self.client.link();
        let asked = sessions.iter().flat_map(|token| [(*token, false), (*token, true)]);
        let holdings = try_join_all(asked.map(async |(token, suspects)| {
            let args = vec![token_bytes(token), if suspects { "1" } else { "0" }.into()];
            Ok::<_, QueueError>((holding(token, suspects), link.call(&script::HELD, 0, &args).await?))
        }))
        .await?;
        for (what, answer) in holdings {
            let mut held = Vec::new();
            for pair in wire::list(answer)?.chunks_exact(2) {
                let id = JobId::from_tail(0, &wire::bytes(pair[0].clone())?)?;
                held.push((self.id_of(id), u8::try_from(wire::integer(&pair[1])?).unwrap_or(u8::MAX)));
            }
            picture.insert(what, jobs(held));
        }
        Ok(picture)
    }

    pub(super) async fn records(&self, ids: &[JobId]) -> Result<Vec<Option<JobRecord>>, QueueError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let args = ids.iter().map(|id| id.tail().to_vec()).collect();
        let [entries, lanes, kinds, _] = wire::fields(self.client.link().call(&script::READ, 0, &args).await?)?;
        let names = Names::read(lanes, kinds)?;
        let read = |(entry, id): (Value, &JobId)| {
            let entry = wire::bytes(entry)?;
            let raw = entry.get(14..).unwrap_or_default();
            if raw.is_empty() { Ok(None) } else { wire::decode(*id, raw, &names).map(Some) }
        };
        wire::list(entries)?.into_iter().zip(ids).map(read).collect()
    }

    /// Who runs what.
    async fn holders(&self) -> Result<BTreeMap<Id, Token>, QueueError> {
        let mut command = redis::cmd("HGETALL");
        command.arg("{pr:0}:1:runs");
        let runs: Vec<Vec<u8>> = self.client.link().at(0)?.command(&command).await?;
        let mut holders = BTreeMap::new();
        for pair in runs.chunks_exact(2) {
            let whose = pair[1].len().saturating_sub(21);
            let token = pair[1].get(whose + 7).copied().unwrap_or(Token::MAX);
            holders.insert(self.id_of(JobId::from_tail(0, &pair[0])?), token);
        }
        Ok(holders)
    }

    async fn sessions(&self) -> Result<Vec<Token>, QueueError> {
        let mut command = redis::cmd("ZRANGE");
        command.arg("{pr:0}:1:sessions").arg(0).arg(-1);
        let sessions: Vec<Vec<u8>> = self.client.link().at(0)?.command(&command).await?;
        Ok(sessions.iter().map(|name| name.last().copied().unwrap_or(Token::MAX)).collect())
    }

    fn time_of(record: &JobRecord) -> Time {
        let at = (record.run_at.timestamp_millis() - START) / 1000;
        u8::try_from(at).unwrap_or(FAR)
    }

    /// The number of a job; one past the last for a stranger.
    pub(super) fn id_of(&self, id: JobId) -> Id {
        self.ids.iter().position(|known| *known == id).unwrap_or(self.ids.len())
    }
}

fn holding(token: Token, suspects: bool) -> String {
    format!("what session {token} holds{}", if suspects { ", suspects too" } else { "" })
}

/// What the two say differently.
pub(super) fn difference(scripts: &Picture, model: &Picture) -> Option<String> {
    let things: BTreeSet<_> = scripts.keys().chain(model.keys()).collect();
    let nothing = "nothing".to_owned();
    let lines: Vec<_> = things
        .into_iter()
        .map(|thing| (thing, scripts.get(thing).unwrap_or(&nothing), model.get(thing).unwrap_or(&nothing)))
        .filter(|(_, scripts, model)| scripts != model)
        .map(|(thing, scripts, model)| format!("{thing}: scripts: {scripts}; model: {model}"))
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}
