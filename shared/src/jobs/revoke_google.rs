use std::time::Duration;

use postrider_queue::{Job, JobKind, QueueName, UniqueKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Declared, Queue};
use crate::ids::AccountId;

/// Gives the tokens of a disconnected Google account back and forgets them. Enqueued by the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevokeGoogle {
    #[schema(value_type = uuid::Uuid)]
    pub account_id: AccountId,
}

impl Job for RevokeGoogle {
    const KIND: JobKind = JobKind::new("revoke_google");
    const QUEUE: QueueName = Queue::Mail.name();
    const MAX_ATTEMPTS: u32 = 20;
    const TIMEOUT: Duration = Duration::from_mins(2);

    fn unique_key(&self) -> Option<UniqueKey> {
        Some(self.account_id.to_string().into())
    }
}

impl Declared for RevokeGoogle {
    const SUMMARY: &'static str = "Gives the tokens of a disconnected Google account back and forgets them.";
}
