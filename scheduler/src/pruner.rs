//! Removes bookkeeping that nobody will ask for again, in bounded steps.

use std::time::Duration;

use chrono::TimeDelta;
use postrider_shared::{clock::Clock, database::AllTenants, stores::Stores};

use crate::duty::{Duty, DutyError, Step};

/// Rows per table and step.
const BATCH: u64 = 200;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Relayed jobs: long enough to see what happened on the day before.
const KEEP_OUTBOX: Duration = DAY.saturating_mul(2);
/// Occurrences: longer than the longest interval (a day), so that none is ever planned a second time.
const KEEP_OCCURRENCES: Duration = DAY.saturating_mul(3);
/// Answers to requests with an idempotency key: at least the promised 24 hours.
const KEEP_REQUESTS: Duration = HOUR.saturating_mul(25);
/// Dead letters that a person has redriven or discarded.
const KEEP_SETTLED_LETTERS: Duration = DAY.saturating_mul(90);

/// Prunes.
pub struct Pruner {
    stores: Stores,
    clock: Clock,
    /// How long audit events are kept.
    audit_retention: TimeDelta,
}

impl Pruner {
    pub fn new(stores: Stores, clock: Clock, audit_retention: TimeDelta) -> Self {
        Self { stores, clock, audit_retention }
    }
}

impl Duty for Pruner {
    const NAME: &'static str = "pruner";

    fn every(&self) -> Duration {
        Duration::from_mins(1)
    }

    async fn step(&mut self) -> Result<Step, DutyError> {
        let now = self.clock.now();
        let stores = &self.stores;
        let removed = [
            ("outbox", stores.outbox.prune(AllTenants, now - KEEP_OUTBOX, BATCH).await?),
            ("occurrences", stores.occurrences.prune(AllTenants, now - KEEP_OCCURRENCES, BATCH).await?),
            ("idempotent_requests", stores.requests.prune(AllTenants, now - KEEP_REQUESTS, BATCH).await?),
            ("sessions", stores.sessions.prune(AllTenants, BATCH).await?),
            ("one_time_codes", stores.one_time_codes.prune(AllTenants, BATCH).await?),
            ("notices", stores.notices.prune(AllTenants, BATCH).await?),
            ("dead_letters", stores.dead_letters.prune(AllTenants, now - KEEP_SETTLED_LETTERS, BATCH).await?),
            ("audit_events", stores.audit.expire(AllTenants, now, self.audit_retention, BATCH).await?),
        ];
        let mut step = Step::Rest;
        for (table, rows) in removed {
            metrics::counter!("postrider_scheduler_pruned_total", "table" => table).increment(rows);
            step = step.or(Step::after(rows, BATCH));
        }
        Ok(step)
    }
}
