//! Starts `poll_mailbox` for every active mailbox at its interval.
//!
//! Every replica looks at the same latest planned time of each mailbox; the occurrence's row decides that it is started once.
//! Only the latest one counts: after an outage of any length a mailbox is read once, not once for each time it was missed.
//! Mailboxes of tenants that do not take part are left alone. A mailbox whose last run still waits or works is not started a second time (the job's unique key).
//! One of several Redis servers that is away keeps only the mailboxes of its own tenants waiting.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};
use postrider_queue::{Enqueued, JobId, NewJob, QueueClient, Tenant};
use postrider_shared::{
    accounts::Account,
    clock::Clock,
    database::AllTenants,
    ids::AccountId,
    jobs::PollMailbox,
    occurrences::{self, Occurrence},
    stores::Stores,
    tenants::TenantState,
};

use crate::duty::{Duty, DutyError, Step};

/// Mailboxes looked at per query.
const PAGE: u64 = 500;
/// Mailboxes whose runs are started at once: each waits for the database and for the queue, and after a restart of the scheduler
/// every mailbox is looked up once.
const AT_ONCE: usize = 16;
/// An occurrence starts up to this much later than planned, and up to a tenth of its interval.
const MOST_JITTER: Duration = Duration::from_secs(30);

/// Starts recurring runs.
pub struct Timetable {
    stores: Stores,
    queue: QueueClient,
    clock: Clock,
    /// What this process knows to be started, so that it need not ask the database every second.
    started: HashMap<AccountId, DateTime<Utc>>,
    /// Where the look through all mailboxes goes on.
    after: Option<AccountId>,
}

impl Timetable {
    pub fn new(stores: Stores, queue: QueueClient, clock: Clock) -> Self {
        Self { stores, queue, clock, started: HashMap::new(), after: None }
    }

    /// Plans and enqueues the mailbox's latest occurrence, unless that was done before; returns its planned time.
    async fn start(&self, account: &Account) -> Result<DateTime<Utc>, DutyError> {
        let schedule = schedule(account);
        let (planned_at, interval) = self.latest(account);
        let tenant = Tenant::from(account.tenant_id);
        let job_id = self.job_id(&tenant, &schedule, planned_at);
        // The first look into a new mailbox is not delayed: somebody is waiting for it.
        let is_first = planned_at <= account.connected_at;
        let jitter = if is_first { Duration::ZERO } else { MOST_JITTER.min(interval / 10) };
        let planned = self.stores.occurrences.plan(account.tenant_id, &schedule, planned_at, jitter, job_id).await?;
        self.enqueue(planned.occurrence(), account.id).await?;
        Ok(planned_at)
    }

    fn latest(&self, account: &Account) -> (DateTime<Utc>, Duration) {
        let interval = Duration::from_secs(u64::try_from(account.poll_interval_seconds).unwrap_or_default().max(1));
        (occurrences::latest(&schedule(account), self.clock.now(), interval), interval)
    }

    async fn enqueue(&self, occurrence: &Occurrence, account: AccountId) -> Result<(), DutyError> {
        if occurrence.enqueued_at.is_some() {
            return Ok(());
        }
        let tenant = Tenant::from(occurrence.tenant_id);
        let job = PollMailbox { account_id: account, planned_at: Some(occurrence.planned_at) };
        let id = self.job_id(&tenant, &occurrence.schedule, occurrence.planned_at);
        let job = NewJob::of(tenant, &job)?.with_id(id).run_at(occurrence.run_at);
        match self.queue.enqueue(job).await? {
            Enqueued::Created(id) => tracing::debug!(job_id = %id, account_id = %account, "mailbox is to be read"),
            Enqueued::UniqueTaken(id) => {
                tracing::info!(job_id = %id, account_id = %account, "skipped: the mailbox's last run has not ended");
            }
            Enqueued::Exists(_)
            | Enqueued::IdempotencyConflict(_)
            | Enqueued::Replaced(_)
            | Enqueued::BatchClosed(_) => {}
        }
        let (tenant, schedule) = (occurrence.tenant_id, &occurrence.schedule);
        Ok(self.stores.occurrences.enqueued(tenant, schedule, occurrence.planned_at).await?)
    }

    fn job_id(&self, tenant: &Tenant, schedule: &str, planned_at: DateTime<Utc>) -> JobId {
        let parts = occurrences::job_id_parts(schedule, planned_at);
        self.queue.derived_job_id(tenant, &parts.each_ref().map(String::as_str))
    }
}

fn schedule(account: &Account) -> String {
    format!("poll_mailbox:{}", account.id)
}

fn lock(shards: &Mutex<HashSet<u16>>) -> MutexGuard<'_, HashSet<u16>> {
    shards.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Duty for Timetable {
    const NAME: &'static str = "timetable";

    fn every(&self) -> Duration {
        // The shortest interval of a mailbox is a second.
        Duration::from_secs(1)
    }

    async fn step(&mut self) -> Result<Step, DutyError> {
        let page = self.stores.accounts.every(AllTenants, self.after, PAGE).await?;
        let mut due = Vec::new();
        for account in page.iter().filter(|account| account.is_active()) {
            if self.started.get(&account.id) != Some(&self.latest(account).0)
                && self.stores.tenants.state(account.tenant_id).await? == TenantState::Active
            {
                due.push(account.clone());
            }
        }
        let away = Mutex::new(HashSet::new());
        let (this, away) = (&*self, &away);
        let mut starts = stream::iter(due)
            .map(|account| async move {
                let shard = this.queue.shard_of(&account.tenant_id.into());
                // A server that says nothing is not asked for each of its mailboxes.
                if lock(away).contains(&shard) {
                    return None;
                }
                let outcome = this.start(&account).await;
                if let Err(DutyError::Queue(_)) = outcome {
                    lock(away).insert(shard);
                }
                Some((account.id, outcome))
            })
            .buffer_unordered(AT_ONCE);
        let (mut started, mut failed, mut failed_for_all) = (Vec::new(), None, None);
        while let Some(outcome) = starts.next().await {
            match outcome {
                None => {}
                Some((account, Ok(planned_at))) => started.push((account, planned_at)),
                Some((_, Err(error @ DutyError::Queue(_)))) => failed = Some(error),
                Some((_, Err(error))) => failed_for_all = Some(error),
            }
        }
        drop(starts);
        self.started.extend(started);
        if let Some(error) = failed_for_all {
            return Err(error);
        }
        for account in page.iter().filter(|account| !account.is_active()) {
            // Resumed later, it is read at once.
            self.started.remove(&account.id);
        }
        let step = Step::after(page.len(), PAGE);
        self.after = if step == Step::More { page.last().map(|account| account.id) } else { None };
        DutyError::partly(step, failed)
    }
}
