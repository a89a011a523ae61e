use std::time::Duration;

use postrider_queue::{Job, JobKind, QueueName, UniqueKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Declared, Queue};
use crate::ids::InvitationId;

/// Mails an invitation. Enqueued with it, in the platform's own name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MailInvitation {
    #[schema(value_type = uuid::Uuid)]
    pub invitation_id: InvitationId,
}

impl Job for MailInvitation {
    const KIND: JobKind = JobKind::new("mail_invitation");
    const QUEUE: QueueName = Queue::Email.name();
    const MAX_ATTEMPTS: u32 = 20;
    const MAX_SNOOZES: u32 = 1_000;
    const TIMEOUT: Duration = Duration::from_mins(5);

    fn unique_key(&self) -> Option<UniqueKey> {
        Some(self.invitation_id.to_string().into())
    }
}

impl Declared for MailInvitation {
    const SUMMARY: &'static str = "Mails an invitation, at most once, and only while it is open.";
}
