//! A job in a worker's hands, and the lease under which it is held.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};

use crate::{
    error::QueueError,
    id::JobId,
    job::Links,
    lane::Lane,
    name::{JobKind, QueueName, Tenant},
    session::{Hold, Settling},
};

/// A job that this process holds: what the backend yields to handlers.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Its id.
    pub id: JobId,
    /// Whose job it is.
    pub tenant: Tenant,
    /// Its kind.
    pub kind: JobKind,
    /// The queue it came from.
    pub queue: QueueName,
    /// The lane it came from.
    pub lane: Lane,
    /// JSON text.
    pub payload: Vec<u8>,
    /// Which attempt this is; the first is 1.
    pub attempt: u32,
    /// Fence of this claim: rises with every claim of the job.
    pub epoch: u32,
    /// Attempts in all.
    pub max_attempts: u32,
    /// Times the job put itself off.
    pub snoozes: u32,
    /// Process crashes while its handler ran, since its last run that ended.
    pub crashes: u32,
    /// Whether its cap units were reserved for an earlier run, which was cut off and may have used them. Else they are this run's own.
    pub inherits_units: bool,
    /// How it belongs together with others.
    pub links: Links,
    /// When it was created.
    pub enqueued_at: DateTime<Utc>,
    /// When this claim was made, by Redis's clock.
    pub claimed_at: DateTime<Utc>,
    /// The right to work on it.
    pub lease: Lease,
}

impl Claimed {
    /// Crashes from which on a job is suspected to be their cause. `lua/lib/record.lua` has the same number.
    pub const SUSPECT_FROM: u32 = 2;

    /// Whether the job may have killed its processes: run it where a crash takes nobody along. Only workers that
    /// [take suspects](crate::WorkerConfig::take_suspects) are given one.
    pub fn is_suspect(&self) -> bool {
        self.crashes >= Self::SUSPECT_FROM
    }
}

/// The right to work on a job, for as long as the session lives and nobody cancels it. Clones are the same lease.
///
/// When the last clone is dropped before an outcome was acknowledged, the job goes back to its lane without an attempt.
#[derive(Debug, Clone)]
pub struct Lease(pub(crate) Arc<Hold>);

/// Why a handler should stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// The lease was lost: somebody else may run the job, and no outcome of this run will be accepted.
    Lost,
    /// Somebody asked the job to stop: end with `Stop::Cancelled` if you can.
    Cancelled,
}

impl Lease {
    /// Largest progress report, as JSON text.
    pub const MAX_PROGRESS_BYTES: usize = 8 * 1024;

    /// Whether the lease is lost, by the last answer of Redis or by the clock.
    pub fn lost(&self) -> bool {
        self.0.lost()
    }

    /// Whether somebody asked the job to stop.
    pub fn cancelled(&self) -> bool {
        self.0.cancelled()
    }

    /// Ends when the lease is lost or the job is asked to stop. Never, if the job ends before.
    pub async fn lost_or_cancelled(&self) -> Interrupt {
        self.0.interrupted().await
    }

    /// Until when the lease is certainly held, on this machine's monotonic clock; renewed while the process lives.
    pub fn expires_at(&self) -> Instant {
        self.0.expires_at()
    }

    /// How much longer the lease is certainly held; zero if it may be lost.
    pub fn remaining(&self) -> Duration {
        self.expires_at().saturating_duration_since(Instant::now())
    }

    /// Longest line of a job's log, in bytes; longer ones are cut.
    pub const MAX_LINE_BYTES: usize = 1024;

    /// Writes lines into the job's log, at most 64 a call. The newest 200 of all attempts are kept, as long as the job's record.
    /// Refused if the lease is lost.
    pub async fn log<L: Into<String>>(&self, lines: impl IntoIterator<Item = L>) -> Result<(), QueueError> {
        self.0.log(lines.into_iter().map(Into::into).collect()).await
    }

    /// Gives the job back to the head of its lane, without an attempt; whatever outcome follows is ignored. For a run that was
    /// cut short through no fault of its own.
    pub fn release(&self) {
        self.0.settle(Settling::release);
    }

    /// Reports progress into the record, for whoever watches. Refused if the lease is lost.
    pub async fn progress(&self, progress: serde_json::Value) -> Result<(), QueueError> {
        self.0.progress(progress).await
    }
}
