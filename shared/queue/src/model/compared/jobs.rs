//! What is done to jobs from outside of the workers.

use std::time::Duration;

use super::{
    carried::{Carried, HOUR, PERIOD, RULES, WORK, failed, lane, same},
    picture::state_of,
    steps::Key,
};
use crate::{
    id::JobId,
    job::{Enqueued, Links, NewJob, UniqueFor},
    model::machine::{self, FAR, FOLLOW_UP_ATTEMPTS, Held, Id, New, SHORT, State, Time, Unique},
    name::JobKind,
    policy::{Backoff, Policy, RetryPolicy},
    priority::Priority,
    record::{Cancelled, Promoted},
    session::Run,
};

impl Carried<'_> {
    pub(super) fn new_job(&mut self, number: usize, max_attempts: u8, keep: Time) -> NewJob {
        self.made += 1;
        let mut tail = [0; 14];
        tail[6..].copy_from_slice(&self.made.to_be_bytes()); // in the order in which the model numbers them
        NewJob {
            tenant: self.tenant.clone(),
            id: Some(JobId::of(0, tail)),
            kind: JobKind::new("echo"),
            queue: WORK,
            lane: lane(number),
            priority: Priority::default(),
            payload: b"{}".to_vec(),
            run_at: None,
            max_attempts: max_attempts.into(),
            keep: if keep == FAR { HOUR } else { Duration::from_secs(keep.into()) },
            unique_key: None,
            unique_for: UniqueFor::default(),
            idempotency_key: None,
            links: Links::default(),
            recipient: None,
        }
    }

    pub(super) fn follow_up(&mut self) -> (JobId, NewJob) {
        let job = self.new_job(0, FOLLOW_UP_ATTEMPTS, SHORT);
        (job.id.unwrap(), job)
    }

    pub(super) async fn enqueue(&mut self, new: New) -> Result<(), String> {
        let mut job = self.new_job(new.lane, new.max_attempts, new.keep);
        if new.delay > 0 {
            let until = if new.delay == FAR { FAR } else { self.model.now + new.delay };
            job.run_at = Some(self.instant(until));
        }
        if let Some(unique) = new.unique {
            job.unique_key = Some(format!("key {}", unique.key).into());
            job.unique_for = match unique.held {
                Held::Active => UniqueFor::WaitingOrRunning,
                Held::Waiting => UniqueFor::Waiting,
                Held::Replace => UniqueFor::Replace,
                Held::Period(length) => UniqueFor::Period(Duration::from_secs(length.into())),
            };
        }
        job.links.redriven_from = new.origin.map(|id| self.ids[id]);
        let id = job.id.unwrap();
        let answer = self.client.enqueue(job.clone()).await.map_err(failed)?;
        let expected = match self.model.enqueue(&new) {
            machine::Enqueued::Created(_) => {
                self.ids.push(id);
                self.new.push(Some((job, new)));
                Enqueued::Created(id)
            }
            machine::Enqueued::Taken(holder) => Enqueued::UniqueTaken(self.ids[holder]),
            machine::Enqueued::Replaced(holder) => {
                self.happened.note("replaced", 1);
                self.replacing.push((job, holder));
                Enqueued::Replaced(self.ids[holder])
            }
        };
        self.happened.note("enqueues", 1);
        same("an enqueue", answer, expected)
    }

    pub(super) async fn enqueue_again(&mut self, pick: u8) -> Result<(), String> {
        let all = self.ids.len() + self.replacing.len();
        let place = usize::from(pick).checked_rem(all).and_then(|place| place.checked_sub(self.ids.len()));
        if let Some((job, holder)) = place.map(|place| &self.replacing[place]) {
            let answer = self.client.enqueue(job.clone()).await.map_err(failed)?;
            self.happened.note("repeated replacements", 1);
            return same("a repeated enqueue", answer, Enqueued::Replaced(self.ids[*holder]));
        }
        let Some(id) = self.pick(pick) else { return Ok(()) };
        let (Some((job, _)), false) = (&self.new[id], self.model.jobs[id].state == State::Gone) else { return Ok(()) };
        let answer = self.client.enqueue(job.clone()).await.map_err(failed)?;
        same("a repeated enqueue", answer, Enqueued::Exists(self.ids[id]))
    }

    pub(super) async fn redrive(&mut self, pick: u8) -> Result<(), String> {
        let dead: Vec<Id> = (0..self.ids.len()).filter(|id| self.model.jobs[*id].state == State::Dead).collect();
        let Some(id) = usize::from(pick).checked_rem(dead.len()).map(|place| dead[place]) else { return Ok(()) };
        let Some((_, new)) = self.new[id] else { return Ok(()) };
        self.happened.note("redriven", 1);
        self.enqueue(New { origin: Some(id), delay: 0, ..new }).await
    }

    pub(super) async fn cancel(&mut self, pick: u8) -> Result<(), String> {
        let Some(id) = self.pick(pick) else { return Ok(()) };
        let job = &self.model.jobs[id];
        let expected = match state_of(job.state) {
            _ if job.runs() => Cancelled::Requested,
            _ if job.waits() => Cancelled::Now,
            Some(state) => Cancelled::AlreadyFinished(state),
            None => Cancelled::NotFound,
        };
        let answer = self.client.cancel(self.ids[id]).await.map_err(failed)?;
        self.model.cancel(id);
        self.happened.note("cancels", 1);
        same("a cancel", answer, expected)
    }

    pub(super) async fn promote(&mut self, pick: u8) -> Result<(), String> {
        let Some(id) = self.pick(pick) else { return Ok(()) };
        let answer = self.client.promote(self.ids[id]).await.map_err(failed)?;
        let state = state_of(self.model.jobs[id].state);
        let expected = match (self.model.promote(id), state) {
            (true, _) => Promoted::Now,
            (false, Some(state)) => Promoted::NotWaiting(state),
            (false, None) => Promoted::NotFound,
        };
        same("a promotion", answer, expected)
    }

    pub(super) async fn archive(&mut self, most: usize) -> Result<(), String> {
        let letters = self.client.dead(0, most).await.map_err(failed)?;
        let letters: Vec<_> = letters.iter().map(|letter| (letter.record.id, letter.death_number)).collect();
        self.client.dead_archived(&letters).await.map_err(failed)?;
        self.model.archive(most);
        self.happened.note("archived", letters.len());
        Ok(())
    }

    pub(super) fn pick(&self, pick: u8) -> Option<Id> {
        usize::from(pick).checked_rem(self.ids.len())
    }

    /// What of a run decides about its outcome.
    pub(super) fn run_of(&self, id: Id) -> Run {
        let job = &self.model.jobs[id];
        let backoff = Backoff { base: Duration::ZERO, factor: 1.0, max: Duration::ZERO };
        Run {
            tenant: self.tenant.as_str().to_owned(),
            attempt: job.attempt.into(),
            max_attempts: job.max_attempts.into(),
            snoozes: job.snoozes.into(),
            policy: Policy {
                retry: RetryPolicy { max_attempts: 3, backoff },
                timeout: HOUR,
                max_snoozes: RULES.max_snoozes.into(),
            },
        }
    }
}

pub(super) fn unique(key: Key) -> Unique {
    match key {
        Key::Active => Unique { key: 0, held: Held::Active },
        Key::Waiting => Unique { key: 1, held: Held::Waiting },
        Key::Replace => Unique { key: 2, held: Held::Replace },
        Key::Period => Unique { key: 3, held: Held::Period(PERIOD) },
    }
}
