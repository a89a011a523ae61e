//! Watches mailboxes over IDLE connections, so that new mail is read within a second instead of at the mailbox's interval.
//!
//! One worker process is one watcher. It holds a share of all mailboxes, each by a lease in the database, and keeps one
//! connection for each. A lease ends with its watcher: who does not beat is buried by the others, and who cannot beat drops its
//! connections before that. Nothing is lost when two watch a mailbox for a moment, or nobody does: a poll is only started
//! sooner than at the interval, and reading takes each mail once.

mod connection;
mod others;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use postrider_shared::accounts::Account;
use postrider_shared::database::{AllTenants, StoreError};
use postrider_shared::ids::{AccountId, WatcherId};
use postrider_shared::telemetry::chain;
use postrider_shared::watches::{Way, share};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};

use self::connection::{Connection, Ended};
use self::others::Others;
use crate::context::Services;
use crate::providers::imap::ImapError;

/// From one look at the leases to the next, which is also the beat.
const STEP: Duration = Duration::from_secs(1);
/// Whoever was not seen to beat for this long is dead.
const DEAD_AFTER: Duration = Duration::from_secs(8);
/// Whoever could not beat for this long drops its connections: before the others take them.
const SILENT_FOR: Duration = Duration::from_secs(6);
/// Mailboxes taken in one step. It bounds how fast connections are opened, so a dead server among them holds up no other.
const CLAIMS: u64 = 100;
/// How often a server without IDLE is asked again whether it has it now.
const WITHOUT_IDLE: TimeDelta = TimeDelta::hours(12);
/// How long giving everything back may take at the end.
const LEAVE_LIMIT: Duration = Duration::from_secs(3);

/// What a process watches.
#[derive(Debug, Clone, Copy)]
pub struct WatchConfig {
    /// The most mailboxes; 0 watches none.
    pub capacity: u32,
    /// How long an IDLE goes on before it is begun anew.
    pub renewal: Duration,
}

/// Watches mailboxes until `stop` turns true, and gives them back then.
pub(crate) async fn keep(services: Arc<Services>, config: WatchConfig, mut stop: watch::Receiver<bool>) {
    if config.capacity == 0 {
        return;
    }
    let mut watcher = Watcher::new(services, config);
    let mut steps = interval(STEP);
    steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = told_to_stop(&mut stop) => break,
            _ = steps.tick() => watcher.step().await,
            Some(ended) = watcher.connections.join_next_with_id() => watcher.settle(ended).await,
        }
    }
    watcher.leave().await;
}

async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    // An error means that nobody is left who could say so, which says it as well.
    let _ = stop.wait_for(|stop| *stop).await;
}

struct Watcher {
    services: Arc<Services>,
    config: WatchConfig,
    /// `None` before it joined, and after the others took it for dead.
    id: Option<WatcherId>,
    beaten_at: Instant,
    others: Others,
    connections: JoinSet<Ended>,
    held: HashMap<AccountId, Watched>,
    failing: bool,
}

/// A mailbox that this process watches.
struct Watched {
    account: Account,
    task: AbortHandle,
}

impl Watcher {
    fn new(services: Arc<Services>, config: WatchConfig) -> Self {
        Self {
            services,
            config,
            id: None,
            beaten_at: Instant::now(),
            others: Others::default(),
            connections: JoinSet::new(),
            held: HashMap::new(),
            failing: false,
        }
    }

    /// One step, bounded in time so that a database that hangs does not keep connections that others may take over.
    async fn step(&mut self) {
        let left = SILENT_FOR.saturating_sub(self.beaten_at.elapsed()).max(STEP);
        let problem = match timeout(left, self.try_step()).await {
            Ok(Ok(())) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("mailboxes are watched again");
                }
                None
            }
            Ok(Err(error)) => Some(chain(&error)),
            Err(_) => Some("the database does not answer".to_owned()),
        };
        if let Some(problem) = problem
            && !std::mem::replace(&mut self.failing, true)
        {
            tracing::warn!(problem, "watching mailboxes fails");
        }
        if self.id.is_some() && self.beaten_at.elapsed() >= SILENT_FOR {
            self.lose("this process could not say that it lives");
        }
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
        metrics::gauge!("postrider_mailboxes_watched").set(self.held.len() as f64);
    }

    async fn try_step(&mut self) -> Result<(), StoreError> {
        let services = Arc::clone(&self.services);
        let watches = &services.watches;
        let id = match self.id {
            Some(id) => id,
            None => self.join().await?,
        };
        let asked_at = Instant::now();
        if !watches.beat(AllTenants, id).await? {
            self.lose("the others took this process for dead");
            return Ok(());
        }
        self.beaten_at = asked_at;
        let all = watches.watchers(AllTenants).await?;
        for dead in self.others.dead(id, &all, DEAD_AFTER) {
            if watches.bury(AllTenants, &dead).await? {
                tracing::info!(watcher.id = %dead.id, "took the mailboxes of a worker that is gone");
            }
        }
        self.drop_changed(id).await?;
        let share = share(id, &all, watches.watchable(AllTenants).await?);
        self.meet(id, usize::try_from(share).unwrap_or(usize::MAX)).await
    }

    async fn join(&mut self) -> Result<WatcherId, StoreError> {
        let id = WatcherId::random();
        self.services.watches.join(AllTenants, id, self.config.capacity).await?;
        self.id = Some(id);
        self.beaten_at = Instant::now();
        Ok(id)
    }

    /// Drops what is no longer to be watched, or has other settings now: those are taken anew.
    async fn drop_changed(&mut self, id: WatcherId) -> Result<(), StoreError> {
        for held in self.services.watches.held(AllTenants, id).await? {
            let as_it_was = self
                .held
                .get(&held.account_id)
                .is_some_and(|watched| held.settled_at == Some(watched.account.updated_at));
            if !as_it_was {
                self.drop_one(id, held.account_id).await?;
            }
        }
        Ok(())
    }

    /// Takes mailboxes up to the share, or gives back what is above it.
    async fn meet(&mut self, id: WatcherId, share: usize) -> Result<(), StoreError> {
        let above: Vec<AccountId> = self.held.keys().copied().skip(share).collect();
        for account in above {
            self.drop_one(id, account).await?;
        }
        let missing = share.saturating_sub(self.held.len()) as u64;
        if missing == 0 {
            return Ok(());
        }
        for account in self.services.watches.claim(AllTenants, id, missing.min(CLAIMS)).await? {
            let connection = Connection::new(&self.services, account.clone(), id, self.config.renewal);
            let task = self.connections.spawn(connection.keep());
            self.held.insert(account.id, Watched { account, task });
        }
        Ok(())
    }

    async fn drop_one(&mut self, id: WatcherId, account: AccountId) -> Result<(), StoreError> {
        if let Some(watched) = self.held.remove(&account) {
            watched.task.abort();
        }
        self.services.watches.release(AllTenants, id, account).await
    }

    /// A connection ended by itself: the mailbox is given back, and left alone for a while.
    async fn settle(&mut self, ended: Result<(tokio::task::Id, Ended), tokio::task::JoinError>) {
        let (task, ended) = match ended {
            Ok((task, ended)) => (task, ended),
            // Aborted: whoever did it has settled it.
            Err(error) if error.is_cancelled() => return,
            Err(error) => (error.id(), Ended::Failed { error: "its task panicked".to_owned(), long: false }),
        };
        let Some(account) = self.held.values().find(|watched| watched.task.id() == task) else { return };
        let account = account.account.clone();
        let Some(id) = self.id else { return };
        self.held.remove(&account.id);
        let settled = timeout(SILENT_FOR, async {
            let retry_at = note(&self.services, &account, ended).await?;
            tracing::debug!(account.id = %account.id, %retry_at, "the mailbox is not watched until then");
            self.services.watches.release(AllTenants, id, account.id).await
        });
        match settled.await {
            Ok(Ok(())) => {}
            // The lease stays, and the next step, which finds it without a connection, gives it back.
            Ok(Err(error)) => tracing::warn!(%error, account.id = %account.id, "the end of a watch was not noted"),
            Err(_) => tracing::warn!(account.id = %account.id, "the end of a watch was not noted in time"),
        }
    }

    /// Drops every connection. Their leases are gone, or go when the others take this process for dead.
    fn lose(&mut self, why: &str) {
        tracing::warn!(why, watched = self.held.len(), "all mailboxes are let go");
        self.id = None;
        self.held.clear();
        self.connections.abort_all();
    }

    async fn leave(mut self) {
        self.connections.abort_all();
        let Some(id) = self.id else { return };
        match timeout(LEAVE_LIMIT, self.services.watches.leave(AllTenants, id)).await {
            Ok(Ok(())) => tracing::debug!(watched = self.held.len(), "gave the mailboxes back"),
            Ok(Err(error)) => tracing::warn!(%error, "the mailboxes are taken over when the others miss this process"),
            Err(_) => tracing::warn!("the mailboxes are taken over when the others miss this process"),
        }
        while self.connections.join_next().await.is_some() {}
    }
}

/// Writes down why a mailbox is not watched now; returns when it may be again.
async fn note(services: &Services, account: &Account, ended: Ended) -> Result<DateTime<Utc>, StoreError> {
    match ended {
        Ended::NotOffered => {
            let why = "its server has no IDLE";
            services.watches.not_offered(account, Way::Idle, WITHOUT_IDLE, why).await
        }
        // The poll would find the same, up to a day later.
        Ended::Forbidden => {
            let error = ImapError::Forbidden;
            if let Err(unpaused) = services.pause_account(account, &error).await {
                tracing::warn!(error = %unpaused, account.id = %account.id, "a mailbox that may not be read is not paused yet");
            }
            services.watches.failed(account, Way::Idle, &error.to_string()).await
        }
        Ended::Failed { error, long } => {
            if long {
                services.watches.recovered(account, Way::Idle).await?;
            }
            tracing::info!(account.id = %account.id, error, "an IDLE connection ended");
            services.watches.failed(account, Way::Idle, &error).await
        }
    }
}
