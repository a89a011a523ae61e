//! What people do.

use std::time::Duration;

use super::world::{LANES, QUEUES, SCOPES, World, failed, lane, scope};
use crate::{
    client::{DepthLimits, ForgetPlace},
    job::Links,
    lane::Lane,
    name::{LaneName, Tenant},
    scope::{CapSpec, RateLimit, Restored, ScopeLimits, Window},
    script,
};

impl World<'_> {
    pub(super) async fn cancel(&mut self) -> Result<(), String> {
        let Some(id) = self.some_job() else { return Ok(()) };
        self.told(format!("{id} is cancelled"));
        self.client.cancel(id).await.map(drop).map_err(failed)
    }

    pub(super) async fn promote(&mut self) -> Result<(), String> {
        let Some(id) = self.some_job() else { return Ok(()) };
        self.told(format!("{id} is promoted"));
        self.client.promote(id).await.map(drop).map_err(failed)
    }

    pub(super) async fn redrive_or_archive(&mut self) -> Result<(), String> {
        let letters = self.client.dead(0, 3).await.map_err(failed)?;
        if self.dice.odds(50) {
            self.told("dead letters are archived");
            let letters: Vec<_> = letters.iter().map(|letter| (letter.record.id, letter.death_number)).collect();
            self.client.dead_archived(&letters).await.map_err(failed)?;
            return Ok(());
        }
        let jobs: Vec<_> = letters
            .iter()
            .filter_map(|letter| {
                let job = self.jobs.get(&letter.record.id)?.job.clone()?;
                Some((letter.record.id, job))
            })
            .collect();
        let mut again = Vec::new();
        for (id, mut job) in jobs {
            job.id = Some(self.new_id());
            (job.run_at, job.idempotency_key) = (None, None);
            job.links = Links { redriven_from: Some(id), ..Links::default() };
            again.push(job);
        }
        self.told(format!("{} dead letters are redriven", again.len()));
        if again.is_empty() { Ok(()) } else { self.send(again).await }
    }

    fn some_lane(&mut self) -> Lane {
        if self.dice.odds(15) {
            return Lane::named(LaneName::parse(format!("wide{}", self.dice.below(9))).unwrap());
        }
        lane(self.dice.below(LANES.len()))
    }

    pub(super) async fn control(&mut self) -> Result<(), String> {
        let (tenant, queue, lane) = (self.tenant(), self.dice.of_list(&QUEUES).clone(), self.some_lane());
        let (number, client) = (self.dice.below(SCOPES), self.client);
        let on = self.dice.odds(45);
        match self.dice.below(42) {
            0..9 => return self.define(&tenant, number).await,
            9..12 => {
                self.told(format!("lane {} of {tenant} in {queue}: paused {on}", lane.name));
                if on {
                    client.pause_lane(&tenant, &queue, &lane).await
                } else {
                    client.resume_lane(&tenant, &queue, &lane).await
                }
            }
            12..15 => {
                self.told(format!("scope {number} of {tenant}: paused {on}"));
                let scope = scope(number);
                if on { client.pause_scope(&tenant, &scope).await } else { client.resume_scope(&tenant, &scope).await }
                    .map(drop)
            }
            15..18 => {
                self.told(format!("queue {queue}: paused {on}"));
                if on { client.pause(&queue).await } else { client.resume(&queue).await }
            }
            18..22 => {
                self.told(format!("{tenant}: paused {on}"));
                if on { client.pause_tenant(&tenant).await } else { client.resume_tenant(&tenant).await }
            }
            22..25 => {
                let weight = *self.dice.of_list(&[1, 1, 2, 7]);
                self.told(format!("{tenant} or its lane {} weighs {weight}", lane.name));
                if on {
                    client.weigh_tenant(&tenant, weight).await
                } else {
                    client.weigh_lane(&tenant, &queue, &lane, weight).await
                }
            }
            25..28 => {
                self.told(format!("lane {} of {tenant} in {queue} is cancelled", lane.name));
                client.cancel_lane(&tenant, &queue, &lane).await.map(drop)
            }
            28 => {
                let limits = DepthLimits { every: on.then_some(40), queues: vec![(queue, 30)] };
                self.told(format!("depth {limits:?}"));
                client.limit_depth(&limits).await
            }
            29 | 30 => {
                self.told(format!("scope {number} of {tenant} is closed"));
                client.close_scope(&tenant, &scope(number)).await.map(drop)
            }
            31 => {
                self.told("scopes are closed");
                client.close_scopes(0, &self.made.to_string()).await.map(drop)
            }
            32..35 => return self.open(&tenant, number).await,
            35 | 36 => return self.restore(&tenant, number).await,
            37 | 38 => return self.move_shard(on).await,
            _ => return self.forget(&tenant).await,
        }
        .map_err(failed)
    }

    /// A command begins to move the shard: nothing is claimed until it gives up.
    pub(super) async fn move_shard(&mut self, begin: bool) -> Result<(), String> {
        self.told(format!("the shard is moved: {begin}"));
        let args = vec![if begin { "begin" } else { "give_up" }.into(), b"me".to_vec(), b"there".to_vec()];
        self.client.link().call(&script::MOVE, 0, &args).await.map(drop).map_err(failed)
    }

    /// The books know of a send, and perhaps of a recipient.
    async fn restore(&mut self, tenant: &Tenant, number: usize) -> Result<(), String> {
        let mut facts = vec![Restored::Sent { at: self.instant(-30), units: 1 }];
        if self.dice.odds(50) {
            let recipient = self.recipient();
            self.told(format!("the books of scope {number} of {tenant} know {recipient:?}"));
            facts.push(Restored::Recipient { recipient, at: self.instant(-2) });
        }
        self.client.restore_scope(tenant, &scope(number), &facts).await.map_err(failed)
    }

    pub(super) async fn open(&mut self, tenant: &Tenant, number: usize) -> Result<(), String> {
        let state = self.client.scope(tenant, &scope(number)).await.map_err(failed)?;
        let Some(closing) = state.and_then(|state| state.closed) else { return Ok(()) };
        self.told(format!("scope {number} of {tenant} is opened"));
        self.restore(tenant, number).await?;
        self.client.open_scope(tenant, &scope(number), closing).await.map(drop).map_err(failed)
    }

    pub(super) async fn define(&mut self, tenant: &Tenant, number: usize) -> Result<(), String> {
        self.define_as(tenant, number, true).await
    }

    /// `stops`: it may be paused, or have a cap whose windows come to an end.
    pub(super) async fn define_as(&mut self, tenant: &Tenant, number: usize, stops: bool) -> Result<(), String> {
        let (small, second) = (1 + u64::try_from(self.dice.below(6)).unwrap(), Duration::from_secs(1));
        let mut caps = Vec::new();
        if stops && self.dice.odds(25) {
            let day = chrono::Duration::days(1);
            let today = self.instant(0).date_naive().and_hms_opt(0, 0, 0).unwrap().and_utc();
            let window = |n: i32| Window { starts_at: today + day * n, ends_at: today + day * (n + 1), used_before: 0 };
            caps.push(CapSpec::calendar(small, (0..3).map(window).collect()));
        }
        if self.dice.odds(25) {
            caps.push(CapSpec::moving(small, 20 * second));
        }
        if self.dice.odds(25) {
            caps.push(CapSpec::moving(1 + small / 3, 30 * second).of_recipients());
        }
        let rate = |dice: &mut super::Dice| {
            let burst = 1 + u32::try_from(dice.below(2)).unwrap();
            dice.odds(25).then(|| RateLimit::even(1, 3 * second).burst(burst))
        };
        let limits = ScopeLimits {
            caps,
            rate: rate(&mut self.dice),
            recipient_rate: rate(&mut self.dice),
            in_flight: self.dice.odds(30).then_some(u32::try_from(small).unwrap()),
            paused: stops && self.dice.odds(5),
        };
        self.told(format!(
            "scope {number} of {tenant}: {:?}, rate {}, of recipients {}, in flight {:?}, paused {}",
            limits.caps.iter().map(|cap| (cap.limit, cap.unit)).collect::<Vec<_>>(),
            limits.rate.is_some(),
            limits.recipient_rate.is_some(),
            limits.in_flight,
            limits.paused
        ));
        let flights = limits.in_flight.map_or(u64::MAX, u64::from);
        self.flights.insert((tenant.as_str().to_owned(), number), flights);
        self.client.define_scope(tenant, &scope(number), &limits).await.map(drop).map_err(failed)
    }

    pub(super) async fn free(&mut self, tenant: &Tenant, number: usize) -> Result<(), String> {
        self.flights.insert((tenant.as_str().to_owned(), number), u64::MAX);
        self.client.define_scope(tenant, &scope(number), &ScopeLimits::default()).await.map_err(failed)?;
        self.open(tenant, number).await
    }

    /// Walks over a tenant until nothing is left of it, while its jobs that run stop.
    async fn forget(&mut self, tenant: &Tenant) -> Result<(), String> {
        self.told(format!("{tenant} is forgotten"));
        self.client.pause_tenant(tenant).await.map_err(failed)?;
        self.forgetting = true;
        for round in 0..30 {
            let (mut removed, mut running, mut place) = (0, 0, Some(ForgetPlace::default()));
            while let Some(at) = place {
                let step = self.client.forget_tenant(tenant, &at).await.map_err(failed)?;
                (removed, running, place) = (removed + step.removed, running + step.running, step.next);
            }
            if removed == 0 && running == 0 {
                break;
            }
            if round == 29 {
                return Err(format!("of {tenant} there is always something left"));
            }
            // Whoever holds its jobs is asked to stop, or is dead.
            for number in 0..self.workers.len() {
                self.stop(number, tenant).await?;
            }
            if running > 0 {
                self.pass(1).await?;
            }
        }
        for (id, known) in &mut self.jobs {
            let its = known.job.as_ref().is_some_and(|job| job.tenant == *tenant);
            if its || self.client.get(*id).await.map_err(failed)?.is_none() {
                known.forgotten = true;
            }
        }
        self.batches.retain(|(owner, _)| owner != tenant);
        self.forgetting = false;
        self.check().await?;
        self.client.resume_tenant(tenant).await.map_err(failed)?;
        for number in 0..SCOPES {
            self.define(tenant, number).await?;
        }
        Ok(())
    }
}
