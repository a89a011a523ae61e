//! One mailbox's IDLE connection, from the login to its end.

use std::sync::Arc;
use std::time::Duration;

use postrider_queue::{Enqueued, JobState, NewJob, Promoted, QueueError};
use postrider_shared::accounts::Account;
use postrider_shared::ids::WatcherId;
use postrider_shared::jobs::PollMailbox;
use postrider_shared::watches::{Opener, Way};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::access::TokenError;
use crate::context::Services;
use crate::jobs::poll_mailbox::{FOLDER, server};
use crate::providers::imap::{ImapError, Selected, Session};

/// A connection that lived this long was a good one. One that dies sooner counts as a failure however well its login went:
/// servers that accept a login and hang up at once would be logged in to for ever.
const LONG: Duration = Duration::from_mins(5);
/// How soon news is told again when the poll that runs may have looked too early for it, or the queue did not take it.
const AGAIN: Duration = Duration::from_millis(150);

/// Why a mailbox is no longer watched.
#[derive(Debug)]
pub(super) enum Ended {
    /// Its server has no IDLE: it is read at its interval only.
    NotOffered,
    /// Its host is none that may be called.
    Forbidden,
    /// `long`: it had lived for a good while.
    Failed { error: String, long: bool },
}

pub(super) struct Connection {
    services: Arc<Services>,
    account: Account,
    watcher: WatcherId,
    renewal: Duration,
}

impl Connection {
    pub(super) fn new(services: &Arc<Services>, account: Account, watcher: WatcherId, renewal: Duration) -> Self {
        Self { services: Arc::clone(services), account, watcher, renewal }
    }

    /// Stays until it ends by itself.
    pub(super) async fn keep(self) -> Ended {
        let mut session = match self.open().await {
            Ok(session) => session,
            Err(ended) => return ended,
        };
        match session.can_idle().await {
            Ok(true) => {}
            Ok(false) => {
                session.close().await;
                return Ended::NotOffered;
            }
            Err(error) => return failed(&error, false),
        }
        let begun = Instant::now();
        let Err(error) = self.watch(session, begun).await;
        failed(&error, begun.elapsed() >= LONG)
    }

    /// Logs in; with another token if the first is refused before its time.
    async fn open(&self) -> Result<Session, Ended> {
        let (services, account) = (&self.services, &self.account);
        let without = |error: TokenError| Ended::Failed { error: error.to_string(), long: false };
        let most = services.mailbox_connections;
        match services.watches.open(account, Opener::Watcher(self.watcher), most).await {
            Ok(true) => {}
            Ok(false) => {
                return Err(Ended::Failed { error: format!("{most} connections are all it may have"), long: false });
            }
            Err(error) => return Err(Ended::Failed { error: error.to_string(), long: false }),
        }
        let login = services.login(account).await.map_err(without)?;
        let error = match Session::open(&server(services, account, &login)).await {
            Ok(session) => return Ok(session),
            Err(error) => error,
        };
        if let ImapError::LoginRefused { certain: true, .. } = &error
            && let Some(newer) = services.login_again(account, &login).await.map_err(without)?
        {
            let opened = Session::open(&server(services, account, &newer)).await;
            return opened.map_err(|error| failed(&error, false));
        }
        Err(failed(&error, false))
    }

    async fn watch(&self, mut session: Session, begun: Instant) -> Result<std::convert::Infallible, ImapError> {
        let selected = session.examine(FOLDER).await?;
        // What came while nobody watched.
        let mut owed = self.is_behind(&selected).await;
        let (mut waiting, mut good) = (false, false);
        loop {
            let (idling, news) = session.idle().await?;
            owed |= news;
            if !std::mem::replace(&mut waiting, true) {
                tracing::info!(account.id = %self.account.id, "a mailbox is watched");
            }
            let until = Instant::now() + self.renewal;
            let mut again = Instant::now();
            while Instant::now() < until {
                if owed && again <= Instant::now() {
                    owed = !self.tell().await;
                    again = Instant::now() + AGAIN;
                }
                let wait = if owed { again.min(until) } else { until };
                match timeout_at(wait, session.announced()).await {
                    Ok(heard) => {
                        heard?;
                        // One answer to a burst: what follows at once is told together.
                        if !owed {
                            again = again.max(Instant::now());
                        }
                        owed = true;
                    }
                    Err(_) => sleep_until(wait).await,
                }
            }
            owed |= session.done(idling).await?;
            if !good && begun.elapsed() >= LONG {
                good = true;
                if let Err(error) = self.services.watches.recovered(&self.account, Way::Idle).await {
                    tracing::debug!(%error, account.id = %self.account.id, "a good connection was not noted");
                }
            }
        }
    }

    /// Whether the folder may hold mail that was not read yet. In doubt it does.
    async fn is_behind(&self, selected: &Selected) -> bool {
        let Ok(cursors) = self.services.mail.cursors(self.account.tenant_id, self.account.id).await else {
            return true;
        };
        let cursor = cursors.iter().find(|cursor| cursor.folder == FOLDER);
        match (cursor, selected.uid_validity, selected.uid_next) {
            (Some(cursor), Some(validity), Some(next)) => {
                cursor.uid_validity != i64::from(validity) || i64::from(next) != cursor.last_uid + 1
            }
            _ => true,
        }
    }

    /// Has the mailbox read. False if it must be told again: the poll that runs may have looked before the mail came.
    async fn tell(&self) -> bool {
        match self.try_tell().await {
            Ok(told) => told,
            Err(error) => {
                tracing::debug!(%error, account.id = %self.account.id, "the queue did not take a poll; it is told again");
                false
            }
        }
    }

    async fn try_tell(&self) -> Result<bool, QueueError> {
        let queue = &self.services.queue;
        let poll = PollMailbox { account_id: self.account.id, planned_at: None };
        let job = NewJob::of(self.account.tenant_id.into(), &poll)?;
        self.services.scopes.define_shares_of([&job]).await?;
        match queue.enqueue(job).await? {
            Enqueued::UniqueTaken(waiting) => match queue.promote(waiting).await? {
                Promoted::Now | Promoted::NotWaiting(JobState::Available) => Ok(true),
                Promoted::NotWaiting(
                    JobState::Running
                    | JobState::Scheduled
                    | JobState::Retryable
                    | JobState::Completed
                    | JobState::Cancelled
                    | JobState::Dead,
                )
                | Promoted::NotFound => Ok(false),
            },
            Enqueued::Created(_)
            | Enqueued::Exists(_)
            | Enqueued::IdempotencyConflict(_)
            | Enqueued::Replaced(_)
            | Enqueued::BatchClosed(_) => {
                metrics::counter!("postrider_mailbox_news_total").increment(1);
                Ok(true)
            }
        }
    }
}

fn failed(error: &ImapError, long: bool) -> Ended {
    if *error == ImapError::Forbidden {
        return Ended::Forbidden;
    }
    Ended::Failed { error: error.to_string(), long }
}
