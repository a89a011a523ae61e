use std::time::Duration;

use postrider_queue::{Job, JobKind, QueueName, UniqueKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Declared, Queue};
use crate::ids::CodeId;

/// Mails a one-time code to the address it is for. Enqueued with the code, in the platform's own name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MailCode {
    #[schema(value_type = uuid::Uuid)]
    pub code_id: CodeId,
}

impl Job for MailCode {
    const KIND: JobKind = JobKind::new("mail_code");
    const QUEUE: QueueName = Queue::Email.name();
    const MAX_ATTEMPTS: u32 = 20;
    const MAX_SNOOZES: u32 = 1_000;
    const TIMEOUT: Duration = Duration::from_mins(5);

    fn unique_key(&self) -> Option<UniqueKey> {
        Some(self.code_id.to_string().into())
    }
}

impl Declared for MailCode {
    const SUMMARY: &'static str = "Mails a one-time code, at most once, and only while it is good.";
}
