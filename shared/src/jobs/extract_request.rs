use std::time::Duration;

use postrider_queue::{Job, JobKind, Lane, LaneName, QueueName, UniqueKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Declared, Queue};
use crate::{ids::MailId, scopes::Share};

/// Reads a mail with the language model: a quote request, or not. Enqueued with the record of the mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExtractRequest {
    #[schema(value_type = uuid::Uuid)]
    pub mail_id: MailId,
}

impl Job for ExtractRequest {
    const KIND: JobKind = JobKind::new("extract_request");
    const QUEUE: QueueName = Queue::Extraction.name();
    /// A language model may be away for an hour.
    const MAX_ATTEMPTS: u32 = 20;
    /// Longer than reading the attachments and the longest `LLM_TIMEOUT_SECONDS`, which ends a slow answer in an orderly way.
    const TIMEOUT: Duration = Duration::from_mins(13);
    /// A malware scanner may be away for hours.
    const MAX_SNOOZES: u32 = 1_000;

    /// Mails of one tenant that are large or many keep no other's waiting.
    fn lane(&self) -> Lane {
        Lane::with_scopes(LaneName::default(), vec![Share::Extracting.scope()])
    }

    fn unique_key(&self) -> Option<UniqueKey> {
        Some(self.mail_id.to_string().into())
    }
}

impl Declared for ExtractRequest {
    const SUMMARY: &'static str = "Reads a mail and drafts a quote from it, or marks the mail as ignored.";
}
