//! Declaring a kind of job, and one job to be enqueued.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    batch::BatchId,
    error::QueueError,
    id::JobId,
    lane::Lane,
    name::{JobKind, QueueName, Tenant},
    policy::Backoff,
    priority::Priority,
    recipient::RecipientKey,
};

/// A payload type together with its policy. A job states only what differs from the defaults.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Stable wire name.
    const KIND: JobKind;
    /// Former wire names whose jobs may still be waiting.
    const ALIASES: &'static [&'static str] = &[];
    /// The queue it waits in.
    const QUEUE: QueueName;
    /// Attempts in all before the job is dead.
    const MAX_ATTEMPTS: u32 = 10;
    /// Which of the tenant's jobs go first.
    const PRIORITY: Priority = Priority::Normal;
    /// Distance between attempts.
    const BACKOFF: Backoff = Backoff::DEFAULT;
    /// Hard deadline of one attempt.
    const TIMEOUT: Duration = Duration::from_mins(1);
    /// How long the finished record stays readable, at least.
    const KEEP: Duration = Duration::from_hours(24);
    /// How many times a job may put itself off; the next time it is buried.
    const MAX_SNOOZES: u32 = 100;

    /// The lane this job stands in.
    fn lane(&self) -> Lane {
        Lane::default()
    }

    /// While a job of this kind and tenant with the same key waits or runs, no second one is enqueued.
    fn unique_key(&self) -> Option<UniqueKey> {
        None
    }

    /// How long the unique key keeps others out.
    fn unique_for(&self) -> UniqueFor {
        UniqueFor::default()
    }
}

/// Says which other job would be "the same". Compared within one tenant and kind, held while the job waits or runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UniqueKey(pub String);

impl<T: Into<String>> From<T> for UniqueKey {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

/// How long a [`UniqueKey`] keeps out other jobs like its own. A job whose run was cut off counts as one that runs until it has
/// run to an end; one that waits in a lane that was cancelled keeps nobody out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UniqueFor {
    /// While the job waits or runs.
    #[default]
    WaitingOrRunning,
    /// While it waits: once it runs, the next one may wait.
    Waiting,
    /// While it waits, and the newer job is not refused but put in its place (debounce): its payload, time, attempts and time
    /// to be kept replace those of the waiting one, which keeps its id, lane, links and recipient.
    Replace,
    /// From the enqueue on for this long, whatever becomes of the job meanwhile.
    Period(Duration),
}

/// How a job belongs together with others of its tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Links {
    /// The batch it is counted in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchId>,
    /// The job that started it. Follow-ups of a completion have it by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<JobId>,
    /// The dead job in whose place it runs. It may take over the unique key that this one still holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redriven_from: Option<JobId>,
    /// The batch at whose end it was enqueued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completes: Option<BatchId>,
}

impl Links {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// A client's mark on a request that it may repeat. Compared within one tenant; lives as long as the job's record, and
/// at least 24 hours.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IdempotencyKey {
    /// The client's key.
    pub key: String,
    /// What the request asked for, condensed: the same key with another fingerprint is a conflict.
    pub fingerprint: String,
}

/// Longest payload. Larger data belongs in an object store, its name in the payload.
pub const MAX_PAYLOAD_BYTES: usize = 256 * 1024;
/// Longest unique key, idempotency key and fingerprint.
pub const MAX_KEY_BYTES: usize = 512;

/// One job to be enqueued. As JSON it can be stored (an outbox does) and enqueued later, by whoever.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewJob {
    /// Whose job it is; decides the shard.
    pub tenant: Tenant,
    /// A given id makes the enqueue repeatable: it is created if absent. It must belong to the tenant's shard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<JobId>,
    /// Its kind.
    pub kind: JobKind,
    /// The queue it waits in.
    pub queue: QueueName,
    /// The lane it stands in.
    #[serde(default)]
    pub lane: Lane,
    /// Which of the tenant's jobs go first.
    #[serde(default, skip_serializing_if = "Priority::is_normal")]
    pub priority: Priority,
    /// JSON text, at most [`MAX_PAYLOAD_BYTES`]. In JSON it is a string, so it stays the same to the byte.
    #[serde(with = "text")]
    pub payload: Vec<u8>,
    /// Not before this time; at once if absent or past.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_at: Option<DateTime<Utc>>,
    /// Attempts in all, 1 to 65,535.
    pub max_attempts: u32,
    /// How long the finished record stays readable, at least.
    pub keep: Duration,
    /// See [`UniqueKey`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique_key: Option<UniqueKey>,
    /// How long the unique key keeps others out.
    #[serde(default)]
    pub unique_for: UniqueFor,
    /// See [`IdempotencyKey`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<IdempotencyKey>,
    /// See [`Links`].
    #[serde(default, skip_serializing_if = "Links::is_none")]
    pub links: Links,
    /// Whom it is for: see [`RecipientKey`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<RecipientKey>,
}

impl NewJob {
    /// A job of a declared kind, under that kind's policy.
    pub fn of<J: Job>(tenant: Tenant, job: &J) -> Result<Self, QueueError> {
        let payload = serde_json::to_vec(job).map_err(|e| QueueError::invalid("payload", e.to_string()))?;
        Ok(Self {
            tenant,
            id: None,
            kind: J::KIND,
            queue: J::QUEUE,
            lane: job.lane(),
            priority: J::PRIORITY,
            payload,
            run_at: None,
            max_attempts: J::MAX_ATTEMPTS,
            keep: J::KEEP,
            unique_key: job.unique_key(),
            unique_for: job.unique_for(),
            idempotency_key: None,
            links: Links::default(),
            recipient: None,
        })
    }

    /// Creates the job under this id if it is absent.
    #[must_use]
    pub fn with_id(mut self, id: JobId) -> Self {
        self.id = Some(id);
        self
    }

    /// Not before this time.
    #[must_use]
    pub fn run_at(mut self, at: DateTime<Utc>) -> Self {
        self.run_at = Some(at);
        self
    }

    /// Attempts in all.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// The lane it stands in.
    #[must_use]
    pub fn lane(mut self, lane: Lane) -> Self {
        self.lane = lane;
        self
    }

    /// Which of the tenant's jobs go first.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// The queue it waits in.
    #[must_use]
    pub fn queue(mut self, queue: QueueName) -> Self {
        self.queue = queue;
        self
    }

    /// See [`UniqueKey`].
    #[must_use]
    pub fn unique_key(mut self, key: impl Into<UniqueKey>) -> Self {
        self.unique_key = Some(key.into());
        self
    }

    /// How long the unique key keeps others out.
    #[must_use]
    pub fn unique_for(mut self, held: UniqueFor) -> Self {
        self.unique_for = held;
        self
    }

    /// Whom it is for, which limits per recipient go by.
    #[must_use]
    pub fn recipient(mut self, recipient: RecipientKey) -> Self {
        self.recipient = Some(recipient);
        self
    }

    /// Counts it in this batch.
    #[must_use]
    pub fn in_batch(mut self, batch: BatchId) -> Self {
        self.links.batch = Some(batch);
        self
    }

    /// Names the job that started it.
    #[must_use]
    pub fn child_of(mut self, parent: JobId) -> Self {
        self.links.parent = Some(parent);
        self
    }

    /// See [`IdempotencyKey`].
    #[must_use]
    pub fn idempotency_key(mut self, key: IdempotencyKey) -> Self {
        self.idempotency_key = Some(key);
        self
    }
}

/// What became of a job to be enqueued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// It was created.
    Created(JobId),
    /// A job of this id, or of this idempotency key and fingerprint, exists already: this one.
    Exists(JobId),
    /// Another job holds the unique key: this one.
    UniqueTaken(JobId),
    /// The idempotency key was used for another request, which became this job.
    IdempotencyConflict(JobId),
    /// It was put in the place of this one, which waits under the same unique key: see [`UniqueFor::Replace`].
    Replaced(JobId),
    /// It was refused, under this id: the batch it names does not exist or has ended.
    BatchClosed(JobId),
}

impl Enqueued {
    /// The id of the job that stands for the request.
    pub fn id(&self) -> JobId {
        match self {
            Self::Created(id)
            | Self::Exists(id)
            | Self::UniqueTaken(id)
            | Self::IdempotencyConflict(id)
            | Self::Replaced(id)
            | Self::BatchClosed(id) => *id,
        }
    }
}

/// Payload bytes as a JSON string.
mod text {
    use serde::{Deserialize, Deserializer, Serializer, ser::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(bytes).map_err(S::Error::custom)?)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        Ok(String::deserialize(deserializer)?.into_bytes())
    }
}
