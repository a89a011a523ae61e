use std::time::Duration;

use hex::encode;
use postrider_queue::{Job, JobKind, QueueName, UniqueKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::{Declared, Queue};

/// Fetches the keys by which an issuer signs ID tokens. Enqueued by the scheduler before they end, and by whoever meets a key that is
/// not among them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FetchKeySet {
    /// Its name, as the settings have it.
    pub issuer: String,
}

impl Job for FetchKeySet {
    const KIND: JobKind = JobKind::new("fetch_key_set");
    const QUEUE: QueueName = Queue::Upkeep.name();
    /// The next one comes anyway.
    const MAX_ATTEMPTS: u32 = 3;
    const TIMEOUT: Duration = Duration::from_mins(1);

    /// One at a time per issuer.
    fn unique_key(&self) -> Option<UniqueKey> {
        Some(encode(Sha256::digest(&self.issuer)).into())
    }
}

impl Declared for FetchKeySet {
    const SUMMARY: &'static str = "Fetches the keys by which an issuer signs ID tokens.";
}
