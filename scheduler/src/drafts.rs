//! Starts `tend_drafts` for every active account that sends through the Gmail API, and for those that did so before they were switched
//! to SMTP, as long as there is something left of it.
//!
//! Every replica names the same planned time of an account, and the job's id follows from it: so it is started once. A start that is
//! missed, whatever the reason, is made good by the next.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use chrono::{DateTime, Utc};
use postrider_queue::{NewJob, QueueClient, Tenant};
use postrider_shared::{
    accounts::{Account, Accounts},
    clock::Clock,
    database::AllTenants,
    ids::AccountId,
    jobs::TendDrafts,
    messages::Messages,
    occurrences,
};

use crate::duty::{Duty, DutyError, Step};

/// Accounts looked at per query.
const PAGE: u64 = 500;
/// Doubt about a message is looked into so often.
const INTERVAL: Duration = Duration::from_mins(2);

/// Has drafts looked after.
pub struct Drafts {
    accounts: Accounts,
    messages: Messages,
    queue: QueueClient,
    clock: Clock,
    /// What this process started.
    started: HashMap<AccountId, DateTime<Utc>>,
    /// Where the look through all accounts goes on.
    after: Option<AccountId>,
}

impl Drafts {
    pub fn new(accounts: Accounts, messages: Messages, queue: QueueClient, clock: Clock) -> Self {
        Self { accounts, messages, queue, clock, started: HashMap::new(), after: None }
    }

    /// Those of a page in which there may be something to do.
    async fn to_tend<'a>(&self, page: &'a [Account]) -> Result<Vec<&'a Account>, DutyError> {
        let may = || page.iter().filter(|account| account.is_active() && account.may_have_drafts());
        let switched: Vec<AccountId> =
            may().filter(|account| !account.sends_by_gmail()).map(|account| account.id).collect();
        let left = self.messages.left_drafts(AllTenants, &switched).await?;
        Ok(may().filter(|account| account.sends_by_gmail() || left.contains(&account.id)).collect())
    }

    async fn start(&mut self, account: &Account) -> Result<(), DutyError> {
        let schedule = format!("tend_drafts:{}", account.id);
        let planned_at = occurrences::latest(&schedule, self.clock.now(), INTERVAL);
        if self.started.get(&account.id) == Some(&planned_at) {
            return Ok(());
        }
        let tenant = Tenant::from(account.tenant_id);
        let parts = occurrences::job_id_parts(&schedule, planned_at);
        let id = self.queue.derived_job_id(&tenant, &parts.each_ref().map(String::as_str));
        let job = NewJob::of(tenant, &TendDrafts { account_id: account.id })?.with_id(id);
        self.queue.enqueue(job).await?;
        self.started.insert(account.id, planned_at);
        Ok(())
    }
}

impl Duty for Drafts {
    const NAME: &'static str = "drafts";

    fn every(&self) -> Duration {
        Duration::from_secs(10)
    }

    async fn step(&mut self) -> Result<Step, DutyError> {
        let page = self.accounts.every(AllTenants, self.after, PAGE).await?;
        let (mut away, mut failed) = (HashSet::new(), None);
        for account in self.to_tend(&page).await? {
            // One of several Redis servers that is away keeps only its own accounts waiting, and is asked once for each shard.
            let shard = self.queue.shard_of(&account.tenant_id.into());
            if away.contains(&shard) {
                continue;
            }
            match self.start(account).await {
                Err(error @ DutyError::Queue(_)) => {
                    away.insert(shard);
                    failed = Some(error);
                }
                started => started?,
            }
        }
        let step = Step::after(page.len(), PAGE);
        self.after = if step == Step::More { page.last().map(|account| account.id) } else { None };
        DutyError::partly(step, failed)
    }
}
