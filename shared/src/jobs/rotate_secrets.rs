use std::time::Duration;

use postrider_queue::{Job, JobKind, QueueName, UniqueKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Declared, Queue};

/// Seals with the first key of `SECRET_KEYS` again whatever another key sealed. Started by the API, for the whole platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RotateSecrets {
    /// The id of the key that was first when this was asked for. A worker that still has another one first must not rotate: it would
    /// go back to the old key.
    pub to: String,
}

impl Job for RotateSecrets {
    const KIND: JobKind = JobKind::new("rotate_secrets");
    const QUEUE: QueueName = Queue::Upkeep.name();
    const TIMEOUT: Duration = Duration::from_hours(6);

    /// One rotation to a key at a time.
    fn unique_key(&self) -> Option<UniqueKey> {
        Some(self.to.as_str().into())
    }
}

impl Declared for RotateSecrets {
    const SUMMARY: &'static str = "Seals all secrets in the database with the newest key of the key ring.";
}
