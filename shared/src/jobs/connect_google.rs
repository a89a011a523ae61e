use std::time::Duration;

use postrider_queue::{Job, JobKind, QueueName, UniqueKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Declared, Queue};
use crate::ids::ConsentId;

/// Exchanges the code of an owner's consent for tokens, and looks whose mailbox they open. Enqueued by the callback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConnectGoogle {
    #[schema(value_type = uuid::Uuid)]
    pub consent_id: ConsentId,
}

impl Job for ConnectGoogle {
    const KIND: JobKind = JobKind::new("connect_google");
    const QUEUE: QueueName = Queue::Mail.name();
    const TIMEOUT: Duration = Duration::from_mins(2);

    fn unique_key(&self) -> Option<UniqueKey> {
        Some(self.consent_id.to_string().into())
    }
}

impl Declared for ConnectGoogle {
    const SUMMARY: &'static str = "Connects the mailbox of a Google account whose owner consented.";
}
