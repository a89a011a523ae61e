//! Keeps the queue informed of what each mailbox may send: calendar days ahead, caps, pauses, and what was sent before if
//! Redis does not know it any more. A scope that is not defined parks its lanes, so what is missing here delays mail and never
//! sends too much. After a change of Redis's master, what was sent is told again from the send ledger.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use chrono::{DateTime, Utc};
use postrider_queue::{QueueClient, Tenant};
use postrider_shared::{
    accounts::Account,
    clock::Clock,
    config::LimitsConfig,
    database::AllTenants,
    ids::AccountId,
    scopes::{ScopeError, Scopes},
    stores::Stores,
};

use crate::duty::{Duty, DutyError, Step};

/// Mailboxes per step.
const PAGE: u64 = 500;
/// How often Redis is asked whether a replica became the master.
const LOOKED_EVERY: Duration = Duration::from_secs(1);
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
    /// How often scopes had been closed, when it was asked last.
    closings: Option<u64>,
}

impl Feeder {
    pub fn new(stores: Stores, queue: QueueClient, clock: Clock) -> Self {
        let scopes = Scopes::new(stores.accounts.clone(), stores.messages.clone(), queue.clone(), clock.clone());
        Self { stores, scopes, queue, clock, defined: HashMap::new(), after: None, closings: None }
    }

    /// What accounts and tenants may use, if it is not the usual.
    #[must_use]
    pub fn with_limits(self, limits: LimitsConfig) -> Self {
        Self { scopes: self.scopes.with_limits(limits), ..self }
    }

    async fn feed(&mut self, account: &Account) -> Result<(), DutyError> {
        let now = self.clock.now();
        let is_current = self.defined.get(&account.id).is_some_and(|(row, defined_at)| {
            *row == account.updated_at
                && now - *defined_at < chrono::TimeDelta::from_std(RENEWED_EVERY).unwrap_or_default()
        });
        let tenant = Tenant::from(account.tenant_id);
        if is_current && self.queue.scope(&tenant, &account.scope()).await?.is_some_and(|scope| scope.closed.is_none())
        {
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

    /// After a change of master nothing is sent until the scopes are restored.
    async fn hurry(&mut self) {
        loop {
            tokio::time::sleep(LOOKED_EVERY).await;
            if let Ok(closings) = self.queue.closings().await
                && self.closings.replace(closings).is_some_and(|before| before < closings)
            {
                return;
            }
        }
    }

    async fn step(&mut self) -> Result<Step, DutyError> {
        let page = self.stores.accounts.every(AllTenants, self.after, PAGE).await?;
        let (mut away, mut failed) = (HashSet::new(), None);
        for account in &page {
            // One of several Redis servers that is away must not keep the mailboxes of the others from their limits; one that says
            // nothing is asked once for each shard.
            let shard = self.queue.shard_of(&account.tenant_id.into());
            if away.contains(&shard) {
                continue;
            }
            match self.feed(account).await {
                Err(error @ (DutyError::Queue(_) | DutyError::Scope(ScopeError::Queue(_)))) => {
                    away.insert(shard);
                    failed = Some(error);
                }
                fed => fed?,
            }
        }
        let step = Step::after(page.len(), PAGE);
        self.after = if step == Step::More { page.last().map(|account| account.id) } else { None };
        DutyError::partly(step, failed)
    }
}
