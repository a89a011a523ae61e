//! Jobs and batches that come.

use std::time::Duration;

use super::world::{Known, LANES, QUEUES, World, failed, lane};
use crate::{
    client::DepthLimits,
    error::QueueError,
    id::JobId,
    job::{Enqueued, IdempotencyKey, Links, NewJob, UniqueFor},
    lane::Lane,
    name::{JobKind, LaneName, Tenant},
    priority::Priority,
    recipient::RecipientKey,
};

impl World<'_> {
    pub(super) fn new_id(&mut self) -> JobId {
        self.made += 1;
        let made = self.made.to_be_bytes();
        let (world, number) = (self.made >> 32, u16::try_from(self.made & 0xffff).unwrap());
        if (world % 3 == 1) || (world % 3 == 2 && self.dice.odds(50)) {
            // Of a few each, so that many begin and end.
            return JobId::in_block(0, u32::from(number / 5), number, made[..4].try_into().unwrap());
        }
        let mut tail = [0; 14];
        tail[6..].copy_from_slice(&made);
        JobId::of(0, tail)
    }

    pub(super) fn recipient(&mut self) -> RecipientKey {
        RecipientKey::of(&format!("r{}", self.dice.below(4))).unwrap()
    }

    pub(super) fn plain_job(&mut self, tenant: &Tenant) -> NewJob {
        let number = self.dice.below(LANES.len());
        NewJob {
            tenant: tenant.clone(),
            id: Some(self.new_id()),
            kind: JobKind::parse(*self.dice.of_list(&["echo", "other"])).unwrap(),
            queue: self.dice.of_list(&QUEUES).clone(),
            lane: lane(number),
            priority: Priority::Normal,
            payload: br#"{"n":1}"#.to_vec(),
            run_at: None,
            max_attempts: 1 + u32::try_from(self.dice.below(3)).unwrap(),
            keep: self.keep(),
            unique_key: None,
            unique_for: UniqueFor::default(),
            idempotency_key: None,
            links: Links::default(),
            recipient: None,
        }
    }

    pub(super) fn any_job(&mut self, tenant: &Tenant) -> NewJob {
        let mut job = self.plain_job(tenant);
        if self.dice.odds(25) {
            job.priority = *self.dice.of_list(&Priority::ALL);
        }
        if self.dice.odds(25) {
            let ahead = *self.dice.of_list(&[-5, 1, 3, 30, 3000, 10_000, 200_000, 2_000_000]);
            let far = ["0001-01-01T00:00:00Z", "2026-12-31T23:59:59Z", "2026-01-02T00:00:00Z"];
            let at = if self.dice.odds(10) { self.dice.of_list(&far).parse().unwrap() } else { self.instant(ahead) };
            job.run_at = Some(at);
        }
        if self.dice.odds(20) {
            job.unique_key = Some(format!("key {}", self.dice.below(3)).into());
            job.unique_for = *self.dice.of_list(&[
                UniqueFor::WaitingOrRunning,
                UniqueFor::Waiting,
                UniqueFor::Replace,
                UniqueFor::Replace,
                UniqueFor::Period(Duration::from_secs(20)),
            ]);
        }
        if self.dice.odds(10) {
            let (key, fingerprint) = (self.dice.below(4), self.dice.below(2));
            job.idempotency_key = Some(IdempotencyKey { key: key.to_string(), fingerprint: fingerprint.to_string() });
        }
        if self.dice.odds(50) {
            job.recipient = Some(self.recipient());
        }
        if self.dice.odds(25) && !self.batches.is_empty() {
            let (owner, batch) =
                self.batches[self.batches.len() - 1 - self.dice.below(self.batches.len().min(4))].clone();
            if owner == *tenant {
                job.links.batch = Some(batch);
            }
        }
        if self.dice.odds(5) {
            job.links.parent = self.some_job();
        }
        job
    }

    pub(super) async fn enqueue(&mut self) -> Result<(), String> {
        let tenant = self.tenant();
        let many = *self.dice.of_list(&[1, 1, 2, 3, 5, 24]);
        let mut jobs = Vec::new();
        let (plain, wide) = (self.dice.odds(30), many == 24 && self.dice.odds(70));
        let (queue, of_lane) = (self.dice.of_list(&QUEUES).clone(), self.dice.below(LANES.len()));
        for n in 0..many {
            let mut job = if plain || wide { self.plain_job(&tenant) } else { self.any_job(&tenant) };
            if wide {
                (job.queue, job.lane) =
                    (queue.clone(), Lane::named(LaneName::parse(format!("wide{}", n + self.dice.below(9))).unwrap()));
            } else if self.dice.odds(60) {
                (job.queue, job.lane) = (queue.clone(), lane(of_lane));
            }
            jobs.push(job);
        }
        self.told(format!("{} jobs come for {tenant}, plain {plain}, wide {wide}", jobs.len()));
        self.send(jobs).await
    }

    pub(super) async fn send(&mut self, jobs: Vec<NewJob>) -> Result<(), String> {
        let answers = match self.client.enqueue_many(jobs.clone()).await {
            Err(QueueError::TooDeep { .. }) => {
                self.client.limit_depth(&DepthLimits::NONE).await.map_err(failed)?;
                return Ok(());
            }
            answers => answers.map_err(failed)?,
        };
        // The answer was lost, and the call is made again.
        if self.dice.odds(10) {
            self.told("they come once more");
            let again = match self.client.enqueue_many(jobs.clone()).await {
                Err(QueueError::TooDeep { .. }) => answers.clone(),
                again => again.map_err(failed)?,
            };
            for (first, second) in answers.iter().zip(&again) {
                let expected = match first {
                    Enqueued::Created(id) => Enqueued::Exists(*id),
                    other => *other,
                };
                if second != first && *second != expected {
                    return Err(format!("first {first:?}, then {second:?}"));
                }
                if second == first && matches!(first, Enqueued::Created(_)) {
                    return Err(format!("{first:?} twice"));
                }
            }
        }
        for (job, answer) in jobs.into_iter().zip(answers) {
            if let Enqueued::Created(id) = answer {
                self.jobs.insert(id, Known { job: Some(job), completed: 0, forgotten: false });
            }
        }
        Ok(())
    }

    pub(super) async fn batch(&mut self) -> Result<(), String> {
        if self.batches.is_empty() || self.dice.odds(40) {
            let tenant = self.tenant();
            let batch = crate::batch::BatchId(self.new_id());
            let mut completion = self.dice.odds(70).then(|| self.any_job(&tenant));
            if let Some(job) = &mut completion {
                job.id = None;
                (job.idempotency_key, job.unique_key, job.unique_for) = (None, None, UniqueFor::default());
            }
            self.told(format!("a batch is opened for {tenant}"));
            self.client.open_batch(&tenant, batch, completion).await.map_err(failed)?;
            self.batches.push((tenant, batch));
            return Ok(());
        }
        let (tenant, batch) = self.dice.of_list(&self.batches.clone()).clone();
        self.told(format!("a batch is sealed for {tenant}"));
        if self.client.batch(batch).await.map_err(failed)?.is_some() {
            self.client.seal_batch(&tenant, batch).await.map_err(failed)?;
        }
        Ok(())
    }
}
