//! What parent and child say to each other: JSON, one object a line. Both are the same program.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use postrider_queue::{JobId, JobKind, Lane, Outcome, Tenant};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::context::JobContext;
use crate::lease::{JobLease, Terms};

/// From the parent.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// The job to run; the first order, and the only one of its sort.
    Run(Box<Assignment>),
    /// How the lease stands.
    Lease(Loan),
}

/// From the child.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    /// The handler starts now: what happens from here on is its doing.
    Begun,
    Progress(Value),
    Log(String),
    Ended(Outcome),
}

/// The job in hand.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Assignment {
    pub(super) id: JobId,
    pub(super) tenant: Tenant,
    pub(super) kind: JobKind,
    pub(super) lane: Lane,
    pub(super) payload: Vec<u8>,
    pub(super) attempt: u32,
    pub(super) max_attempts: u32,
    pub(super) snoozes: u32,
    pub(super) inherits_units: bool,
    pub(super) enqueued_at: DateTime<Utc>,
    pub(super) claimed_at: DateTime<Utc>,
    pub(super) lease: Loan,
}

impl Assignment {
    pub(super) fn of(job: &JobContext, payload: Vec<u8>) -> Self {
        Self {
            id: job.id,
            tenant: job.tenant.clone(),
            kind: job.kind.clone(),
            lane: job.lane.clone(),
            payload,
            attempt: job.attempt,
            max_attempts: job.max_attempts,
            snoozes: job.snoozes,
            inherits_units: job.inherits_units,
            enqueued_at: job.enqueued_at,
            claimed_at: job.claimed_at,
            lease: Loan::of(&job.lease),
        }
    }

    pub(super) fn job(self, lease: JobLease) -> (JobContext, Vec<u8>) {
        let job = JobContext {
            id: self.id,
            tenant: self.tenant,
            kind: self.kind,
            lane: self.lane,
            attempt: self.attempt,
            max_attempts: self.max_attempts,
            snoozes: self.snoozes,
            inherits_units: self.inherits_units,
            enqueued_at: self.enqueued_at,
            claimed_at: self.claimed_at,
            lease,
        };
        (job, self.payload)
    }
}

/// Monotonic clocks do not travel, so a lease is told by what is left of it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Loan {
    remaining: Duration,
    cancelled: bool,
}

impl Loan {
    /// Told shorter than it is by what a line may take on its way.
    const ON_ITS_WAY: Duration = Duration::from_millis(250);

    pub(super) fn of(lease: &JobLease) -> Self {
        let remaining = if lease.lost() { Duration::ZERO } else { lease.remaining() };
        Self { remaining: remaining.saturating_sub(Self::ON_ITS_WAY), cancelled: lease.cancelled() }
    }

    /// What it means where it arrives.
    pub(super) fn terms(self) -> Terms {
        Terms { expires_at: Instant::now() + self.remaining, cancelled: self.cancelled }
    }
}
