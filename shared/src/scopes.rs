//! What a mailbox may send, as the queue enforces it: one scope per identity, with a cap per calendar day of its time zone, and for
//! Gmail's API a rate that stays below its quota. And what one tenant may have running at once; see [`Share`].
//!
//! The API defines the scope when a mailbox is connected or changed; the scheduler defines all of them again and again, because
//! days move on and a Redis that lost its data must learn what was sent before. Both do it here, so they agree.

mod share;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use postrider_queue::{
    CapSpec, CapWindow, Closing, QueueClient, QueueError, RateLimit, Restored, ScopeKey, ScopeLimits, WINDOW_DAYS,
    Window, calendar_days,
};

pub use self::share::Share;
use crate::{
    accounts::{Account, AccountState, Accounts, scope_of},
    clock::Clock,
    config::LimitsConfig,
    database::StoreError,
    ids::{AccountId, TenantId},
    messages::Messages,
};

/// Units of the Gmail API that sending one message costs: finding its thread, making a draft, sending it, reading its Message-ID
/// back.
pub const GMAIL_UNITS_PER_MESSAGE: u32 = 5 + 10 + 100 + 5;
/// What Google gives new projects, per user and minute.
const USUAL_GMAIL_UNITS: u32 = 6_000;
/// With the [shares](Share) used up that slow servers can hold, half of what a worker runs at once is for others.
const USUAL_MAIL_JOBS: u32 = 10;

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
    gmail_units_per_minute: u32,
    mail_jobs_per_tenant: u32,
}

impl Scopes {
    pub fn new(accounts: Accounts, messages: Messages, queue: QueueClient, clock: Clock) -> Self {
        let (gmail_units_per_minute, mail_jobs_per_tenant) = (USUAL_GMAIL_UNITS, USUAL_MAIL_JOBS);
        Self { accounts, messages, queue, clock, gmail_units_per_minute, mail_jobs_per_tenant }
    }

    /// What the settings say, if it is not the usual.
    #[must_use]
    pub fn with_limits(self, limits: LimitsConfig) -> Self {
        let LimitsConfig { gmail_units_per_minute, mail_jobs_per_tenant } = limits;
        Self { gmail_units_per_minute, mail_jobs_per_tenant, ..self }
    }

    /// Tells the queue the limits of the account's scope as they are now, and of the scopes that it had under former addresses. What
    /// waits there is woken if no other connection has that address, and moves to the account's scope as soon as it is run; else it
    /// moves as the limits of that connection let it. The tenant's [shares](Share) are told, too.
    pub async fn define(&self, account: &Account) -> Result<(), ScopeError> {
        self.define_shares(account.tenant_id).await?;
        self.define_identity(account.tenant_id, &account.identity).await?;
        for former in &account.former_identities.0 {
            self.define_identity(account.tenant_id, former).await?;
        }
        Ok(())
    }

    /// What a mailbox sent today under another address counts under its new one, too, because it may be the same mailbox: the first
    /// definition after the change says so. A message whose sending began before the change and whose attempt is opened after that
    /// definition is counted by the next one, which the scheduler makes within seconds.
    async fn define_identity(&self, tenant: TenantId, identity: &str) -> Result<(), ScopeError> {
        let scope = scope_of(identity);
        let same = self.accounts.of_identity(tenant, identity).await?;
        let now = self.clock.now();
        let mut limits = limits(&same, now, self.gmail_units_per_minute);
        let mut mailbox = Mailbox { tenant, scope, moved_here: Vec::new() };
        if let Some(CapWindow::Calendar(days)) = limits.caps.first_mut().map(|daily| &mut daily.window)
            && let Some(today) = days.first_mut()
        {
            let moved = same.iter().filter(|account| account.identity_since.is_some_and(|at| at >= today.starts_at));
            mailbox.moved_here = moved.map(|account| account.id).collect();
            today.used_before = self.used(&mailbox, today.starts_at).await?;
        }
        let defined = self.queue.define_scope(&tenant.into(), &mailbox.scope, &limits).await?;
        match defined.closed {
            Some(closing) => self.rebuild(&mailbox, &limits, closing).await,
            None if mailbox.moved_here.is_empty() => Ok(()),
            None => self.restore(&mailbox, &limits).await,
        }
    }

    /// Tells the queue what the send ledger says of a scope that was closed, and opens it.
    async fn rebuild(&self, mailbox: &Mailbox, limits: &ScopeLimits, closing: Closing) -> Result<(), ScopeError> {
        self.restore(mailbox, limits).await?;
        if !self.queue.open_scope(&mailbox.tenant.into(), &mailbox.scope, closing).await? {
            tracing::info!(tenant.id = %mailbox.tenant, "a scope was closed again while it was rebuilt; the next definition rebuilds it");
        }
        Ok(())
    }

    /// Tells the queue what the send ledger says of a scope.
    ///
    /// What the ledger counts as sent, in doubt or under way was used, whatever Redis has forgotten. A message that is under way
    /// now may be counted twice, once here and once when it settles: the cap is never exceeded for that, only used up sooner.
    async fn restore(&self, mailbox: &Mailbox, limits: &ScopeLimits) -> Result<(), ScopeError> {
        let now = self.clock.now();
        let mut facts = Vec::new();
        for cap in &limits.caps {
            let CapWindow::Calendar(windows) = &cap.window else { continue };
            for window in windows.iter().filter(|window| window.starts_at <= now) {
                let Window { starts_at, ends_at, .. } = *window;
                let used = self.used(mailbox, starts_at).await?;
                facts.push(Restored::Window { starts_at, ends_at, used });
            }
        }
        Ok(self.queue.restore_scope(&mailbox.tenant.into(), &mailbox.scope, &facts).await?)
    }

    async fn used(&self, mailbox: &Mailbox, since: DateTime<Utc>) -> Result<u64, ScopeError> {
        Ok(self.messages.used(mailbox.tenant, &mailbox.scope, &mailbox.moved_here, since).await?)
    }
}

/// A mailbox as its provider counts it.
struct Mailbox {
    tenant: TenantId,
    scope: ScopeKey,
    /// Accounts that sent under another address today.
    moved_here: Vec<AccountId>,
}

/// The limits for a mailbox that is connected once or several times, oldest connection first.
///
/// The smallest cap holds, because the provider counts the mailbox once; the oldest connection says where the day begins; it is
/// paused when all its connections are; and what the provider said to one of them holds for all.
fn limits(same: &[Account], now: DateTime<Utc>, gmail_units: u32) -> ScopeLimits {
    let connected: Vec<&Account> = same.iter().filter(|account| account.state != AccountState::Disconnected).collect();
    let active: Vec<&Account> = connected.iter().copied().filter(|account| account.is_active()).collect();
    let Some(first) = active.first().or(connected.first()) else {
        // Nothing can be sent under it any more. What still stands in the lane runs and finds that out: it ends, or moves to the scope
        // of the address that its mailbox has now.
        return ScopeLimits::default();
    };
    let cap = active.iter().map(|account| account.daily_cap).min().unwrap_or(first.daily_cap);
    let windows = calendar_days(first.time_zone.0, now, WINDOW_DAYS);
    let cap = CapSpec::calendar(u64::try_from(cap).unwrap_or_default(), windows);
    let mut caps = vec![cap];
    if let Some(until) = same.iter().filter_map(|account| account.limited_until).max().filter(|until| *until > now) {
        caps.push(nothing_before(until));
    }
    let rate = active.iter().any(|account| account.sends_by_gmail()).then(|| gmail_rate(gmail_units));
    ScopeLimits { paused: active.is_empty(), rate, ..ScopeLimits::caps(caps) }
}

/// So many messages that their calls stay below the quota in any minute, with a tenth to spare for what repeats and upkeep cost.
fn gmail_rate(units_per_minute: u32) -> RateLimit {
    let messages = (units_per_minute / 10 * 9 / GMAIL_UNITS_PER_MESSAGE).max(2);
    let burst = (messages / 10).max(1);
    // A minute may begin with a burst, and sees the even rate beside it.
    RateLimit::even(messages - burst, Duration::from_mins(1)).burst(burst)
}

/// A cap without a bound that opens then: until it does, its lanes are parked, and nothing of them is tried.
fn nothing_before(until: DateTime<Utc>) -> CapSpec {
    let window = Window { starts_at: until, ends_at: until + TimeDelta::days(WINDOW_DAYS.into()), used_before: 0 };
    CapSpec::calendar(u64::MAX, vec![window])
}
