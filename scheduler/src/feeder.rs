//! Keeps the queue informed of what each mailbox may send: calendar days ahead, caps, pauses, and what was sent before if
//! Redis does not know it any more. A scope that is not defined parks its lanes, so what is missing here delays mail and never
//! sends too much.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use postrider_queue::{QueueClient, Tenant};
use postrider_shared::{
    accounts::Account, clock::Clock, database::AllTenants, ids::AccountId, scopes::Scopes, stores::Stores,
};

use crate::duty::{Duty, DutyError, Step};

/// Mailboxes per step.
const PAGE: u64 = 500;
/// A definition holds for two weeks; it is renewed long before.
const RENEWED_EVERY: Duration = Duration::from_hours(1);

/// Defines scopes.
pub struct Feeder {
    stores: Stores,
    scopes: Scopes,
    queue: QueueClient,
    clock: Clock,
    /// What this process defined: the account's row as it was, and when.
    defined: HashMap<AccountId, (DateTime<Utc>, DateTime<Utc>)>,
    after: Option<AccountId>,
}

impl Feeder {
    pub fn new(stores: Stores, queue: QueueClient, clock: Clock) -> Self {
        let scopes = Scopes::new(stores.accounts.clone(), stores.messages.clone(), queue.clone(), clock.clone());
        Self { stores, scopes, queue, clock, defined: HashMap::new(), after: None }
    }

    async fn feed(&mut self, account: &Account) -> Result<(), DutyError> {
        let now = self.clock.now();
        let is_current = self.defined.get(&account.id).is_some_and(|(row, defined_at)| {
            *row == account.updated_at
                && now - *defined_at < chrono::TimeDelta::from_std(RENEWED_EVERY).unwrap_or_default()
        });
        let tenant = Tenant::from(account.tenant_id);
        if is_current && self.queue.scope(&tenant, &account.scope()).await?.is_some() {
            return Ok(());
        }
        self.scopes.define(account).await?;
        self.defined.insert(account.id, (account.updated_at, now));
        Ok(())
    }
}

impl Duty for Feeder {
    const NAME: &'static str = "feeder";

    fn every(&self) -> Duration {
        Duration::from_secs(10)
    }

    async fn step(&mut self) -> Result<Step, DutyError> {
        let page = self.stores.accounts.every(AllTenants, self.after, PAGE).await?;
        for account in &page {
            self.feed(account).await?;
        }
        let step = Step::after(page.len(), PAGE);
        self.after = if step == Step::More { page.last().map(|account| account.id) } else { None };
        Ok(step)
    }
}
