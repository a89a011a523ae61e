use std::time::Duration;

use postrider_queue::{Job, JobKind, QueueName, UniqueKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Declared, Queue, Submit};
use crate::{ids::AccountId, roles::Permission};

/// Looks after the drafts of a Gmail account that sends through the API. Enqueued by the scheduler at intervals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TendDrafts {
    #[schema(value_type = uuid::Uuid)]
    pub account_id: AccountId,
}

impl Job for TendDrafts {
    const KIND: JobKind = JobKind::new("tend_drafts");
    const QUEUE: QueueName = Queue::Upkeep.name();
    /// The next one comes anyway.
    const MAX_ATTEMPTS: u32 = 3;
    const TIMEOUT: Duration = Duration::from_mins(5);

    /// One run at a time per account.
    fn unique_key(&self) -> Option<UniqueKey> {
        Some(self.account_id.to_string().into())
    }
}

impl Declared for TendDrafts {
    const SUMMARY: &'static str =
        "Finds out what became of messages in doubt of a Gmail account, and deletes drafts of ours that nobody sends.";
    const SUBMIT: Submit = Submit::By(Permission::JobsWrite);
}
