//! All duties of this process, side by side.

use std::time::Duration;

use chrono::TimeDelta;
use postrider_queue::QueueClient;
use postrider_shared::{
    clock::Clock,
    config::{IssuersConfig, LimitsConfig},
    payloads::{PayloadSweep, Payloads},
    scopes::Scopes,
    stores::Stores,
    tenants::Pauses,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    archiver::Archiver,
    drafts::Drafts,
    duty::{Duty, keep},
    expirer::Expirer,
    feeder::Feeder,
    key_sets::KeySets,
    pruner::Pruner,
    relay::Relay,
    resolver::Resolver,
    sweeper::Sweeper,
    ticker::Ticker,
    timekeeper::Timekeeper,
    timetable::Timetable,
};

/// What the duties work with.
#[derive(Clone)]
pub struct Roster {
    pub stores: Stores,
    pub payloads: Payloads,
    pub queue: QueueClient,
    /// Bounded, and the one of the stores.
    pub clock: Clock,
    /// The pace of what somebody waits for: due jobs and the outbox. Duties that nobody waits for have their own.
    pub tick: Duration,
    /// What accounts and tenants may use.
    pub limits: LimitsConfig,
    /// Whose signing keys are kept fresh.
    pub issuers: IssuersConfig,
    /// How long audit events are kept.
    pub audit_retention: TimeDelta,
}

impl Roster {
    /// Keeps every duty until `stop`, and returns when the last step in progress has ended.
    pub async fn keep(self, stop: &CancellationToken) {
        let Self { stores, payloads, queue, clock, tick, limits, issuers, audit_retention } = self;
        let mut timekeeper = Timekeeper::new(queue.clone(), clock.clone());
        // Before anything is planned. If Redis is away just now, it is compared when it is back.
        if let Err(error) = timekeeper.step().await {
            tracing::debug!(%error, "the clocks were not compared before the first duty");
        }
        let mut duties = JoinSet::new();
        let mut start = Starter { duties: &mut duties, stop };
        start.duty(timekeeper);
        start.duty(Ticker { upkeep: queue.upkeep(), every: tick });
        start.duty(Pauses::new(stores.tenants.clone(), queue.clone()));
        start.duty(Relay::new(stores.outbox.clone(), queue.clone(), tick));
        start.duty(Timetable::new(stores.clone(), queue.clone(), clock.clone()));
        let feeder = Feeder::new(stores.clone(), queue.clone(), clock.clone());
        start.duty(feeder.with_limits(limits));
        let sweep = PayloadSweep::new(payloads, stores.dead_letters.clone(), queue.clone());
        start.duty(Sweeper::new(sweep));
        start.duty(Drafts::new(stores.accounts.clone(), stores.messages.clone(), queue.clone(), clock.clone()));
        start.duty(KeySets::new(stores.key_sets.clone(), issuers, queue.clone(), clock.clone()));
        let (accounts, messages) = (stores.accounts.clone(), stores.messages.clone());
        let scopes = Scopes::new(accounts, messages, queue.clone(), clock.clone()).with_limits(limits);
        start.duty(Archiver::new(stores.dead_letters.clone(), queue, clock.clone()).with_scopes(scopes));
        start.duty(Resolver::new(stores.messages.clone(), clock.clone()));
        start.duty(Expirer::new(stores.quotes.clone()));
        start.duty(Pruner::new(stores, clock, audit_retention));
        while duties.join_next().await.is_some() {}
    }
}

struct Starter<'a> {
    duties: &'a mut JoinSet<()>,
    stop: &'a CancellationToken,
}

impl Starter<'_> {
    fn duty<D: Duty>(&mut self, duty: D) {
        self.duties.spawn(keep(duty, self.stop.clone()));
    }
}
