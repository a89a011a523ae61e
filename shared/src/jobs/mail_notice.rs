use std::time::Duration;

use postrider_queue::{Job, JobKind, QueueName, UniqueKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Declared, Queue};
use crate::ids::NoticeId;

/// Mails somebody word of what was changed about their account. Enqueued with the change, in the platform's own name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MailNotice {
    #[schema(value_type = uuid::Uuid)]
    pub notice_id: NoticeId,
}

impl Job for MailNotice {
    const KIND: JobKind = JobKind::new("mail_notice");
    const QUEUE: QueueName = Queue::Email.name();
    const MAX_ATTEMPTS: u32 = 20;
    const MAX_SNOOZES: u32 = 1_000;
    const TIMEOUT: Duration = Duration::from_mins(5);

    fn unique_key(&self) -> Option<UniqueKey> {
        Some(self.notice_id.to_string().into())
    }
}

impl Declared for MailNotice {
    const SUMMARY: &'static str =
        "Mails word of a change of an account to its owner, at most once, and only while it is news.";
}
