//! What a mailbox may send, as the queue enforces it: one scope per identity, with a cap per calendar day of its time zone.
//!
//! The API defines the scope when a mailbox is connected or changed; the scheduler defines all of them again and again, because
//! days move on and a Redis that lost its data must learn what was sent before. Both do it here, so they agree.

use chrono::{DateTime, TimeDelta, Utc};
use postrider_queue::{
    CapSpec, CapWindow, Closing, QueueClient, QueueError, Restored, ScopeKey, ScopeLimits, WINDOW_DAYS, Window,
    calendar_days,
};

use crate::{
    accounts::{Account, AccountState, Accounts},
    clock::Clock,
    database::StoreError,
    messages::Messages,
};

/// Why a scope could not be defined. Until it is, its lanes stay parked.
#[derive(Debug, thiserror::Error)]
pub enum ScopeError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// Defines the scopes of mailboxes.
#[derive(Clone)]
pub struct Scopes {
    accounts: Accounts,
    messages: Messages,
    queue: QueueClient,
    clock: Clock,
}

impl Scopes {
    pub fn new(accounts: Accounts, messages: Messages, queue: QueueClient, clock: Clock) -> Self {
        Self { accounts, messages, queue, clock }
    }

    /// Tells the queue the limits of the account's scope as they are now.
    pub async fn define(&self, account: &Account) -> Result<(), ScopeError> {
        let scope = account.scope();
        let same = self.accounts.of_identity(account.tenant_id, &account.identity).await?;
        let mut limits = limits(&same, self.clock.now());
        if let Some(CapWindow::Calendar(days)) = limits.caps.first_mut().map(|daily| &mut daily.window)
            && let Some(today) = days.first_mut()
        {
            today.used_before = self.messages.used(account.tenant_id, &scope, today.starts_at).await?;
        }
        let defined = self.queue.define_scope(&account.tenant_id.into(), &scope, &limits).await?;
        if let Some(closing) = defined.closed {
            self.rebuild(account, &scope, &limits, closing).await?;
        }
        Ok(())
    }

    /// Tells the queue what the send ledger says of a scope that was closed, and opens it.
    ///
    /// What the ledger counts as sent, in doubt or under way was used, whatever Redis has forgotten. A message that is under way
    /// now may be counted twice, once here and once when it settles: the cap is never exceeded for that, only used up sooner.
    async fn rebuild(
        &self,
        account: &Account,
        scope: &ScopeKey,
        limits: &ScopeLimits,
        closing: Closing,
    ) -> Result<(), ScopeError> {
        let (tenant, now) = (account.tenant_id, self.clock.now());
        let mut facts = Vec::new();
        for cap in &limits.caps {
            let CapWindow::Calendar(windows) = &cap.window else { continue };
            for window in windows.iter().filter(|window| window.starts_at <= now) {
                let Window { starts_at, ends_at, .. } = *window;
                let used = self.messages.used(tenant, scope, starts_at).await?;
                facts.push(Restored::Window { starts_at, ends_at, used });
            }
        }
        self.queue.restore_scope(&tenant.into(), scope, &facts).await?;
        if !self.queue.open_scope(&tenant.into(), scope, closing).await? {
            tracing::info!(account.id = %account.id, "the scope was closed again while it was rebuilt; the next definition rebuilds it");
        }
        Ok(())
    }
}

/// The limits for a mailbox that is connected once or several times, oldest connection first.
///
/// The smallest cap holds, because the provider counts the mailbox once; the oldest connection says where the day begins; it is
/// paused when all its connections are; and what the provider said to one of them holds for all.
fn limits(same: &[Account], now: DateTime<Utc>) -> ScopeLimits {
    let connected: Vec<&Account> = same.iter().filter(|account| account.state != AccountState::Disconnected).collect();
    let active: Vec<&Account> = connected.iter().copied().filter(|account| account.is_active()).collect();
    let Some(first) = active.first().or(connected.first()) else {
        // Nothing can be sent any more. What still stands in the lane runs, finds that out and ends.
        return ScopeLimits::default();
    };
    let cap = active.iter().map(|account| account.daily_cap).min().unwrap_or(first.daily_cap);
    let windows = calendar_days(first.time_zone.0, now, WINDOW_DAYS);
    let cap = CapSpec::calendar(u64::try_from(cap).unwrap_or_default(), windows);
    let mut caps = vec![cap];
    if let Some(until) = same.iter().filter_map(|account| account.limited_until).max().filter(|until| *until > now) {
        caps.push(nothing_before(until));
    }
    ScopeLimits { paused: active.is_empty(), ..ScopeLimits::caps(caps) }
}

/// A cap without a bound that opens then: until it does, its lanes are parked, and nothing of them is tried.
fn nothing_before(until: DateTime<Utc>) -> CapSpec {
    let window = Window { starts_at: until, ends_at: until + TimeDelta::days(WINDOW_DAYS.into()), used_before: 0 };
    CapSpec::calendar(u64::MAX, vec![window])
}
