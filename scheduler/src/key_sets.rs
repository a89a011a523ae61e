//! Starts `fetch_key_set` for every configured issuer whose keys are in the second half of their life, or were never fetched.
//!
//! Every replica names the same planned time of an issuer, and the job's id follows from it: so it is started once, and once a minute
//! as long as it brings nothing.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use postrider_queue::{NewJob, QueueClient, Tenant};
use postrider_shared::{
    clock::Clock,
    config::IssuersConfig,
    ids::TenantId,
    jobs::FetchKeySet,
    key_sets::{self, KeySet},
    occurrences,
};

use crate::duty::{Duty, DutyError, Step};

/// Between two fetches of an issuer that gives nothing.
const INTERVAL: Duration = Duration::from_mins(1);

/// Has keys fetched before they end.
pub struct KeySets {
    stored: key_sets::KeySets,
    issuers: IssuersConfig,
    queue: QueueClient,
    clock: Clock,
    /// What this process started.
    started: HashMap<String, DateTime<Utc>>,
}

impl KeySets {
    pub fn new(stored: key_sets::KeySets, issuers: IssuersConfig, queue: QueueClient, clock: Clock) -> Self {
        Self { stored, issuers, queue, clock, started: HashMap::new() }
    }

    async fn start(&mut self, issuer: &str) -> Result<(), DutyError> {
        let now = self.clock.now();
        let refresh_at = self.stored.get(issuer).await?.as_ref().and_then(KeySet::refresh_at);
        if refresh_at.is_some_and(|at| now < at) {
            return Ok(());
        }
        let schedule = format!("fetch_key_set:{issuer}");
        let planned_at = occurrences::latest(&schedule, now, INTERVAL);
        if self.started.get(issuer) == Some(&planned_at) {
            return Ok(());
        }
        let tenant = Tenant::from(TenantId::platform());
        let parts = occurrences::job_id_parts(&schedule, planned_at);
        let id = self.queue.derived_job_id(&tenant, &parts.each_ref().map(String::as_str));
        let job = NewJob::of(tenant, &FetchKeySet { issuer: issuer.to_owned() })?.with_id(id);
        self.queue.enqueue(job).await?;
        self.started.insert(issuer.to_owned(), planned_at);
        Ok(())
    }
}

impl Duty for KeySets {
    const NAME: &'static str = "key_sets";

    fn every(&self) -> Duration {
        Duration::from_secs(5)
    }

    async fn step(&mut self) -> Result<Step, DutyError> {
        let names: Vec<String> = self.issuers.iter().map(|issuer| issuer.name.clone()).collect();
        for name in names {
            self.start(&name).await?;
        }
        Ok(Step::Rest)
    }
}
