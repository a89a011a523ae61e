//! The right to work on a job, as handlers see it: held by this process, or lent by the parent to a process that runs one
//! suspect.

use std::sync::Arc;
use std::time::{Duration, Instant};

use postrider_queue::Lease;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;

/// Nothing depends on a line of the log or a report, so a job waits no longer for a Redis that does not answer: its lease may
/// end before a call is given up.
const NOTE_WITHIN: Duration = Duration::from_secs(1);

/// A lease of either sort. Clones are the same lease.
#[derive(Debug, Clone)]
pub(crate) enum JobLease {
    Own(Lease),
    Lent(Lent),
}

/// What the parent last said of its lease.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) expires_at: Instant,
    pub(crate) cancelled: bool,
}

/// What a job whose lease is lent has its parent write down.
#[derive(Debug)]
pub(crate) enum Note {
    Progress(Value),
    Log(String),
}

/// Takes notes to the parent.
pub(crate) type Tell = Arc<dyn Fn(Note) + Send + Sync>;

/// A lease that the parent process holds.
#[derive(Clone)]
pub(crate) struct Lent {
    terms: watch::Receiver<Terms>,
    tell: Tell,
}

impl std::fmt::Debug for Lent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lent").field("terms", &*self.terms.borrow()).finish_non_exhaustive()
    }
}

impl Lent {
    pub(crate) fn new(terms: watch::Receiver<Terms>, tell: Tell) -> Self {
        Self { terms, tell }
    }

    fn terms(&self) -> Terms {
        *self.terms.borrow()
    }

    async fn interrupted(&self) {
        let mut terms = self.terms.clone();
        loop {
            let now = *terms.borrow_and_update();
            if now.cancelled || now.expires_at <= Instant::now() {
                return;
            }
            tokio::select! {
                changed = terms.changed() => if changed.is_err() { return },
                () = tokio::time::sleep_until(now.expires_at.into()) => {}
            }
        }
    }
}

impl JobLease {
    pub(crate) fn lost(&self) -> bool {
        match self {
            Self::Own(lease) => lease.lost(),
            Self::Lent(lent) => lent.terms().expires_at <= Instant::now(),
        }
    }

    pub(crate) fn cancelled(&self) -> bool {
        match self {
            Self::Own(lease) => lease.cancelled(),
            Self::Lent(lent) => lent.terms().cancelled,
        }
    }

    pub(crate) fn remaining(&self) -> Duration {
        match self {
            Self::Own(lease) => lease.remaining(),
            Self::Lent(lent) => lent.terms().expires_at.saturating_duration_since(Instant::now()),
        }
    }

    /// Ends when the lease is lost or the job is asked to stop.
    pub(crate) async fn interrupted(&self) {
        match self {
            Self::Own(lease) => {
                lease.lost_or_cancelled().await;
            }
            Self::Lent(lent) => lent.interrupted().await,
        }
    }

    /// Nothing depends on a report, so a failure is only noted.
    pub(crate) async fn progress(&self, report: Value) {
        match self {
            Self::Own(lease) => match timeout(NOTE_WITHIN, lease.progress(report)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "progress was not reported"),
                Err(_) => tracing::debug!("progress was not confirmed in time"),
            },
            Self::Lent(lent) => (lent.tell)(Note::Progress(report)),
        }
    }

    /// Nothing depends on a line of the log, so a failure is only noted.
    pub(crate) async fn log(&self, line: String) {
        match self {
            Self::Own(lease) => match timeout(NOTE_WITHIN, lease.log([line])).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "the job's log was not written"),
                Err(_) => tracing::debug!("the job's log was not confirmed in time"),
            },
            Self::Lent(lent) => (lent.tell)(Note::Log(line)),
        }
    }

    /// Back to the queue without an attempt, for a run that was cut short through no fault of its own.
    pub(crate) fn release(&self) {
        if let Self::Own(lease) = self {
            lease.release();
        }
    }
}
