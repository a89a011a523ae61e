use std::time::Duration;

use chrono::{DateTime, Utc};
use postrider_queue::{Job, JobKind, Lane, LaneName, QueueName, UniqueKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Declared, Queue, Submit};
use crate::{ids::AccountId, roles::Permission, scopes::Share};

/// Fetches the mail that came into one mailbox since the last time. Enqueued by the scheduler at the mailbox's interval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PollMailbox {
    #[schema(value_type = uuid::Uuid)]
    pub account_id: AccountId,
    /// The planned time of the occurrence that started it; absent when somebody asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_at: Option<DateTime<Utc>>,
}

impl Job for PollMailbox {
    const KIND: JobKind = JobKind::new("poll_mailbox");
    const QUEUE: QueueName = Queue::Mail.name();
    /// The next occurrence comes anyway.
    const MAX_ATTEMPTS: u32 = 3;
    /// A run takes a part of a folder and lets the next one follow at once: enough for two million mails.
    const MAX_SNOOZES: u32 = 10_000;
    const TIMEOUT: Duration = Duration::from_mins(8);

    /// Servers of one tenant that are slow keep no other's mailboxes waiting.
    fn lane(&self) -> Lane {
        Lane::with_scopes(LaneName::default(), vec![Share::Reading.scope()])
    }

    /// One run at a time per mailbox.
    fn unique_key(&self) -> Option<UniqueKey> {
        Some(self.account_id.to_string().into())
    }
}

impl Declared for PollMailbox {
    const SUMMARY: &'static str = "Fetches new mail from one connected mailbox now.";
    const SUBMIT: Submit = Submit::By(Permission::JobsWrite);
}
