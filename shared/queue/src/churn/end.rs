//! Everything is let go on, and what remains is looked at.

use std::collections::BTreeSet;

use futures::future::try_join_all;

use super::world::{ENDED, LANES, QUEUES, SCOPES, TENANTS, World, failed, lane, scope};
use crate::{
    client::DepthLimits,
    id::JobId,
    lane::Lane,
    name::{LaneName, Tenant},
    record::JobState,
    session::Settling,
};

/// Keys that may be there although there is no job: names of kinds and queues, and limits of scopes.
const KEPT: [&str; 5] = ["counts", "kind_ids", "kinds", "meta", "scope"];

impl World<'_> {
    /// The worker gives up what it runs for this tenant.
    pub(super) async fn stop(&mut self, number: usize, tenant: &Tenant) -> Result<(), String> {
        let Some(token) = self.workers[number].token else { return Ok(()) };
        let (its, others): (Vec<_>, Vec<_>) =
            self.workers[number].runs.drain(..).partition(|record| record.tenant == *tenant);
        self.workers[number].runs = others;
        let outcomes = its.iter().map(|record| Settling::release(record.id, record.epoch, token)).collect();
        self.send_turn(number, token, outcomes, &[], 0).await
    }

    pub(super) async fn end(&mut self) -> Result<(), String> {
        self.told("all is let go on");
        self.move_shard(false).await?;
        self.client.limit_depth(&DepthLimits::NONE).await.map_err(failed)?;
        for queue in QUEUES {
            self.client.resume(&queue).await.map_err(failed)?;
        }
        let limited = self.dice.odds(40);
        for name in TENANTS {
            let tenant = Tenant::parse(name).unwrap();
            self.client.resume_tenant(&tenant).await.map_err(failed)?;
            if !limited {
                self.client.weigh_tenant(&tenant, 1).await.map_err(failed)?;
            }
            for number in 0..SCOPES {
                if limited {
                    self.define_as(&tenant, number, false).await?;
                    self.open(&tenant, number).await?;
                } else {
                    self.free(&tenant, number).await?;
                }
            }
            let wide = (0..40).map(|n| Lane::named(LaneName::parse(format!("wide{n}")).unwrap()));
            let lanes: Vec<_> = (0..LANES.len()).map(lane).chain(wide).collect();
            for queue in QUEUES {
                for lane in &lanes {
                    self.client.resume_lane(&tenant, &queue, lane).await.map_err(failed)?;
                    self.client.weigh_lane(&tenant, &queue, lane, 1).await.map_err(failed)?;
                }
            }
        }
        for (tenant, batch) in self.batches.clone() {
            if self.client.batch(batch).await.map_err(failed)?.is_some() {
                self.client.seal_batch(&tenant, batch).await.map_err(failed)?;
            }
        }
        self.check().await?;
        self.drain(if limited { 120 } else { 30 }).await?;
        for name in TENANTS {
            self.client.weigh_tenant(&Tenant::parse(name).unwrap(), 1).await.map_err(failed)?;
        }
        self.reckon().await?;
        self.let_expire().await
    }

    /// Workers do what they find, until all is done, or nothing for so many seconds.
    async fn drain(&mut self, patience: i64) -> Result<(), String> {
        let (mut since, mut least) = (self.now, usize::MAX);
        loop {
            for number in 0..self.workers.len() {
                self.suspect(number).await?;
                self.finish_all(number).await?;
            }
            self.check().await?;
            let mut left = Vec::new();
            let ids = self.all_ids().await?;
            for record in try_join_all(ids.iter().map(|id| self.client.get(*id))).await.map_err(failed)? {
                let Some(record) = record.filter(|record| !record.state.is_finished()) else { continue };
                if matches!(record.state, JobState::Scheduled | JobState::Retryable) {
                    self.client.promote(record.id).await.map_err(failed)?;
                }
                left.push(record);
            }
            if left.is_empty() {
                return Ok(());
            }
            if left.len() < least {
                (least, since) = (left.len(), self.now);
            }
            if self.now - since > patience {
                return Err(format!("jobs are left that nobody takes: {left:#?}"));
            }
            self.pass(1).await?;
        }
    }

    async fn all_ids(&self) -> Result<Vec<JobId>, String> {
        let mut tails = Vec::new();
        for home in self.list("KEYS", "{pr:0}:1:jobs*").await? {
            tails.extend(self.list("HKEYS", str::from_utf8(&home).map_err(failed)?).await?);
        }
        tails.iter().map(|tail| JobId::from_tail(0, tail).map_err(failed)).collect()
    }

    async fn list(&self, command: &str, key: &str) -> Result<Vec<Vec<u8>>, String> {
        let mut command = redis::cmd(command);
        command.arg(key);
        self.client.link().at(0).map_err(failed)?.command(&command).await.map_err(failed)
    }

    async fn reckon(&mut self) -> Result<(), String> {
        for name in TENANTS {
            for number in 0..SCOPES {
                let state = self.client.scope(&Tenant::parse(name).unwrap(), &scope(number)).await.map_err(failed)?;
                let Some(state) = state else { continue };
                if (state.reserved, state.in_flight, state.waiting_lanes, state.waiting_recipients) != (0, 0, 0, 0) {
                    return Err(format!("scope {number} of {name}: {state:?}"));
                }
            }
        }
        let ended = self.list("SMEMBERS", ENDED).await?;
        let ended: BTreeSet<_> = ended.iter().map(|tail| JobId::from_tail(0, tail).unwrap()).collect();
        for (id, known) in &self.jobs {
            if !ended.contains(id) && !known.forgotten {
                return Err(format!("{id} is lost: {known:?}"));
            }
        }
        for (_, batch) in &self.batches {
            let Some(batch) = self.client.batch(*batch).await.map_err(failed)? else { continue };
            let all = batch.completed + batch.cancelled + batch.dead;
            let completed = batch.completion.is_none_or(|id| ended.contains(&id));
            if batch.ended_at.is_none() || batch.total != all || !completed {
                return Err(format!("a batch that does not end: {batch:?}"));
            }
        }
        for of in self.client.queues().await.map_err(failed)? {
            if (of.lanes, of.parked_lanes, of.stepped_aside, of.paused) != (0, 0, 0, false) {
                return Err(format!("{of:?}"));
            }
        }
        Ok(())
    }

    async fn let_expire(&mut self) -> Result<(), String> {
        self.told("all is forgotten in time");
        loop {
            let letters = self.client.dead(0, 256).await.map_err(failed)?;
            let letters: Vec<_> = letters.iter().map(|letter| (letter.record.id, letter.death_number)).collect();
            if letters.is_empty() {
                break;
            }
            self.client.dead_archived(&letters).await.map_err(failed)?;
        }
        self.close_all().await?;
        for days in [0, 1, 1, 20, 30, 100, 300] {
            self.pass(86_400 * days + 40).await?;
            self.check().await?;
        }
        let keys = self.list("KEYS", "{pr:0}:1:*").await?;
        let mut left: Vec<_> = keys.iter().map(|key| key[9..].escape_ascii().to_string()).collect();
        left.retain(|key| !KEPT.contains(&key.split(':').next().unwrap_or_default()));
        if left.is_empty() {
            return Ok(());
        }
        for hash in ["ahead", "credits", "lanes", "rules"] {
            let fields = self.list("HGETALL", &format!("{{pr:0}}:1:{hash}")).await?;
            left.extend(fields.iter().map(|field| format!("{hash} {}", field.escape_ascii())));
        }
        Err(format!("keys are left: {left:#?}"))
    }
}
