use std::time::Duration;

use postrider_queue::{Job, JobKind, Lane, QueueName, UniqueKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Declared, Queue};
use crate::ids::MessageId;

/// Sends one planned message of the send ledger. Follows `render_quote`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SendEmail {
    #[schema(value_type = uuid::Uuid)]
    pub message_id: MessageId,
    /// The sending account's lane, with the scope whose daily cap holds.
    #[schema(value_type = Object)]
    pub lane: Lane,
}

#[derive(Deserialize)]
struct Subject {
    message_id: MessageId,
}

impl SendEmail {
    /// The message that a job of this kind and payload is to send, if it is one that sends.
    pub fn message_of(kind: &str, payload: &[u8]) -> Option<MessageId> {
        if kind != Self::KIND.as_str() {
            return None;
        }
        Some(serde_json::from_slice::<Subject>(payload).ok()?.message_id)
    }
}

impl Job for SendEmail {
    const KIND: JobKind = JobKind::new("send_email");
    const QUEUE: QueueName = Queue::Email.name();
    /// A mail server may be away for hours; with the default back-off this spans more than two.
    const MAX_ATTEMPTS: u32 = 20;
    /// A mailbox may wait for its owner or its provider for days, which is no failure of the message's.
    const MAX_SNOOZES: u32 = 1_000;
    const TIMEOUT: Duration = Duration::from_mins(5);

    fn lane(&self) -> Lane {
        self.lane.clone()
    }

    fn unique_key(&self) -> Option<UniqueKey> {
        Some(self.message_id.to_string().into())
    }
}

impl Declared for SendEmail {
    const SUMMARY: &'static str = "Sends one planned message by e-mail, at most once.";
}
