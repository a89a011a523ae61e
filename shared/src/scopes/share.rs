//! What one tenant may have running at once, in all workers together, of the jobs that take long.
//!
//! A tenant's mail servers may be as slow as they like, its mails as large and as many, and so may be what it has cancelled or redriven
//! in one go. Without a bound one tenant would hold every place of a worker for as long as the limits of time allow, and mail of all
//! others would wait that long.

use postrider_queue::{NewJob, QueueError, ScopeKey, ScopeLimits};

use super::Scopes;
use crate::ids::TenantId;

/// Jobs of one tenant that share a bound. Each tenant has these scopes of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Those that read mailboxes.
    Reading,
    /// Those that have mails read by the language model.
    Extracting,
    /// Those that send.
    Sending,
    /// Diagnostic ones that hold a place for long, in any queue.
    Diagnosing,
    /// Those that redrive or discard many dead letters of the tenant.
    Clearing,
    /// Those that cancel many others: each walks through all jobs of its shard. An emergency waits for no redrive.
    Cancelling,
}

/// Of those that clear, and of those that cancel. One looks through a selection while another one works.
const CLEARING_TOGETHER: u32 = 2;

impl Share {
    const ALL: [Self; 6] =
        [Self::Reading, Self::Extracting, Self::Sending, Self::Diagnosing, Self::Clearing, Self::Cancelling];

    /// The scope that the lanes of its jobs name.
    pub fn scope(self) -> ScopeKey {
        ScopeKey::parse(match self {
            Self::Reading => "share:reading",
            Self::Extracting => "share:extracting",
            Self::Sending => "share:sending",
            Self::Diagnosing => "share:diagnosing",
            Self::Clearing => "share:clearing",
            Self::Cancelling => "share:cancelling",
        })
        .unwrap_or_else(|_| unreachable!("a word without white space"))
    }
}

impl Scopes {
    /// Defines the shares that these jobs' lanes name, before the jobs are enqueued: a scope that nobody has defined parks its lanes.
    pub async fn define_shares_of<'a>(&self, jobs: impl IntoIterator<Item = &'a NewJob>) -> Result<(), QueueError> {
        let mut defined = Vec::new();
        for job in jobs.into_iter().filter(|job| !job.lane.scopes.is_empty()) {
            for share in Share::ALL {
                let wanted = (&job.tenant, share);
                if job.lane.scopes.contains(&share.scope()) && !defined.contains(&wanted) {
                    self.queue.define_scope(&job.tenant, &share.scope(), &self.share(share)).await?;
                    defined.push(wanted);
                }
            }
        }
        Ok(())
    }

    pub(super) async fn define_shares(&self, tenant: TenantId) -> Result<(), QueueError> {
        for share in Share::ALL {
            self.queue.define_scope(&tenant.into(), &share.scope(), &self.share(share)).await?;
        }
        Ok(())
    }

    fn share(&self, share: Share) -> ScopeLimits {
        let most = match share {
            Share::Reading | Share::Extracting | Share::Sending | Share::Diagnosing => self.mail_jobs_per_tenant,
            Share::Clearing | Share::Cancelling => CLEARING_TOGETHER,
        };
        ScopeLimits { in_flight: Some(most), ..ScopeLimits::default() }
    }
}
