//! A job as a client submits it, and what the queue said to it.

use std::time::Duration;

use chrono::{DateTime, Datelike, Utc};
use postrider_queue::{BatchId, Enqueued, IdempotencyKey, LaneName, NewJob, QueueName, UniqueFor};
use postrider_shared::ids::TenantId;
use postrider_shared::jobs::{self, KindInfo, Submit};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::{Accepted, Priority};
use crate::app::App;
use crate::auth::Caller;
use crate::idempotency;
use crate::json;
use crate::problem::{Answer, Problem, ProblemType};

/// Longest a unique key may be held by the clock, in seconds: 366 days.
const LONGEST_PERIOD: u64 = 366 * 86_400;
/// The last one that four digits can name.
const LAST_YEAR: i32 = 9999;
const MAX_ATTEMPTS: u32 = 100;
const MAX_UNIQUE_KEY: usize = 255;
/// Keeps clients' unique keys apart from those the product gives its own jobs.
const CLIENT_KEY: &str = "client:";

/// A job to be done.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// Which kind of job; `GET /v1/kinds` lists them.
    #[schema(example = "diagnostic.echo")]
    pub kind: String,
    /// What it is given, at most `PAYLOAD_LIMIT_BYTES` (10 MiB unless the operator says otherwise); 256 KiB for the job of
    /// a batch's end and with `unique_for: replace`. Its schema is in `GET /v1/kinds`.
    #[serde(default = "nothing", deserialize_with = "json::unique")]
    #[schema(value_type = Object)]
    pub payload: Value,
    /// Which of the tenant's jobs go first; `normal` if absent.
    pub priority: Option<Priority>,
    /// Not before this time, up to the year 9999; at once if it is past.
    pub run_at: Option<DateTime<Utc>>,
    /// After so many failed attempts the job is dead; the kind's own number if absent.
    #[schema(minimum = 1, maximum = 100)]
    pub max_attempts: Option<u32>,
    /// Refuse the job (409) while another one of its kind holds this key; `unique_for` says how long that is.
    #[schema(min_length = 1, max_length = 255)]
    pub unique_key: Option<String>,
    /// How long the unique key keeps others out; `waiting_or_running` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique_for: Option<UniqueHold>,
    /// For `unique_for: period`: its length in seconds, at most 366 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 31_622_400)]
    pub unique_seconds: Option<u64>,
    /// The batch the job is counted in: see `POST /v1/batches`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<String>,
    /// As the header `Idempotency-Key`; for one job of a batch.
    #[schema(min_length = 1, max_length = 255, pattern = "^[!-~]([ -~]*[!-~])?$")]
    pub idempotency_key: Option<String>,
    /// Another queue than the kind's own; `diagnostic.*` only.
    pub queue: Option<String>,
    /// A lane of the queue; `diagnostic.*` only.
    pub lane: Option<String>,
}

/// How long a unique key keeps others out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UniqueHold {
    /// While its job waits or runs.
    WaitingOrRunning,
    /// While its job waits.
    Waiting,
    /// While its job waits; a newer one is not refused but put in its place, with its payload and time.
    Replace,
    /// For `unique_seconds` from now on, whatever becomes of the job.
    Period,
}

fn nothing() -> Value {
    Value::Object(serde_json::Map::new())
}

impl Submission {
    /// The job, if the kind, the caller's role and all values allow it, with a payload of at most `limit` bytes.
    pub(in crate::v1) fn into_job(
        self,
        app: &App,
        caller: Caller,
        tenant: TenantId,
        key: Option<String>,
        limit: usize,
    ) -> Answer<NewJob> {
        let kind = self.kind(caller)?;
        self.check_times()?;
        let key = self.idempotency_key(key)?;
        let (queue, lane) = self.place(kind)?;
        let unique_key = self.unique_key(kind)?;
        let unique_for = self.unique_for()?;
        let batch = self.batch(app, tenant)?;
        let mut job = kind
            .new_job(tenant.into(), self.payload)
            .map_err(|error| Problem::new(ProblemType::InvalidPayload, error.to_string()))?;
        if job.payload.len() > limit {
            let detail = format!("The payload has {} bytes; {limit} are allowed.", job.payload.len());
            return Err(Problem::new(ProblemType::PayloadTooLarge, detail));
        }
        job.run_at = self.run_at;
        job.links.batch = batch;
        job.priority = self.priority.map_or(job.priority, Into::into);
        job.idempotency_key = key;
        job.max_attempts = self.max_attempts.unwrap_or(job.max_attempts);
        if let Some(queue) = queue {
            job.queue = queue;
        }
        if let Some(lane) = lane {
            job.lane.name = lane;
        }
        match (unique_key, &job.unique_key) {
            (Some(_), Some(_)) => {
                let detail = format!("Jobs of kind {} have a unique key of their own.", kind.kind);
                Err(Problem::field("/unique_key", detail))
            }
            (Some(key), None) => Ok(job.unique_key(key).unique_for(unique_for)),
            (None, _) => Ok(job),
        }
    }

    fn kind(&self, caller: Caller) -> Answer<&'static KindInfo> {
        let unknown = || {
            let detail = format!("There is no job kind {:?}.", shortened(&self.kind));
            Problem::new(ProblemType::UnknownKind, detail).with_field("/kind", "unknown")
        };
        let kind = jobs::find(&self.kind).ok_or_else(unknown)?;
        match kind.submit {
            Submit::Never => Err(Problem::new(
                ProblemType::KindNotSubmittable,
                format!("Jobs of kind {} are started by Postrider itself.", kind.kind),
            )),
            Submit::By(permission) => caller.must(permission).map(|()| kind),
        }
    }

    fn check_times(&self) -> Answer<()> {
        if self.run_at.is_some_and(|at| at.year() > LAST_YEAR) {
            return Err(Problem::field("/run_at", format!("run_at may be at most in the year {LAST_YEAR}.")));
        }
        if self.max_attempts.is_some_and(|attempts| !(1..=MAX_ATTEMPTS).contains(&attempts)) {
            return Err(Problem::field("/max_attempts", format!("max_attempts must be 1 to {MAX_ATTEMPTS}.")));
        }
        Ok(())
    }

    /// The fingerprint covers everything the client said, so that the same key with other words is noticed.
    fn idempotency_key(&self, header: Option<String>) -> Answer<Option<IdempotencyKey>> {
        if self.idempotency_key.as_deref().is_some_and(|key| !idempotency::is_key(key)) {
            let detail = "idempotency_key must be 1 to 255 visible ASCII characters.";
            return Err(Problem::field("/idempotency_key", detail));
        }
        let Some(key) = self.idempotency_key.clone().or(header) else { return Ok(None) };
        let said = serde_json::to_vec(self).map_err(Problem::internal)?;
        let fingerprint = hex::encode(Sha256::digest(said));
        Ok(Some(IdempotencyKey { key, fingerprint }))
    }

    fn place(&self, kind: &KindInfo) -> Answer<(Option<QueueName>, Option<LaneName>)> {
        for (field, given) in [("queue", &self.queue), ("lane", &self.lane)] {
            if given.is_some() && !kind.chooses_lane {
                let detail =
                    format!("Jobs of kind {} have their own {field}; only diagnostic kinds may name one.", kind.kind);
                return Err(Problem::field(format!("/{field}"), detail));
            }
        }
        let queue = self.queue.as_deref().map(str::parse::<QueueName>).transpose();
        let lane = self.lane.as_deref().map(str::parse::<LaneName>).transpose();
        Ok((
            queue.map_err(|error| Problem::field("/queue", error.to_string()))?,
            lane.map_err(|error| Problem::field("/lane", error.to_string()))?,
        ))
    }

    fn unique_for(&self) -> Answer<UniqueFor> {
        if self.unique_key.is_none() && (self.unique_for.is_some() || self.unique_seconds.is_some()) {
            return Err(Problem::field(
                "/unique_key",
                "unique_for says how long to hold a unique_key, but there is none.",
            ));
        }
        let hold = self.unique_for.unwrap_or(UniqueHold::WaitingOrRunning);
        match (hold, self.unique_seconds) {
            (UniqueHold::Period, Some(seconds)) if (1..=LONGEST_PERIOD).contains(&seconds) => {
                Ok(UniqueFor::Period(Duration::from_secs(seconds)))
            }
            (UniqueHold::Period, _) => {
                let detail = format!("A period needs unique_seconds from 1 to {LONGEST_PERIOD}.");
                Err(Problem::field("/unique_seconds", detail))
            }
            (_, Some(_)) => Err(Problem::field("/unique_seconds", "Only unique_for \"period\" has a length.")),
            (UniqueHold::WaitingOrRunning, None) => Ok(UniqueFor::WaitingOrRunning),
            (UniqueHold::Waiting, None) => Ok(UniqueFor::Waiting),
            (UniqueHold::Replace, None) => Ok(UniqueFor::Replace),
        }
    }

    /// An id of another shard is none of this tenant's batches.
    fn batch(&self, app: &App, tenant: TenantId) -> Answer<Option<BatchId>> {
        let Some(text) = &self.batch_id else { return Ok(None) };
        let batch: BatchId = text.parse().map_err(|_| Problem::field("/batch_id", "This is no id of a batch."))?;
        if batch.shard() == app.queue().shard_of(&tenant.into()) { Ok(Some(batch)) } else { Err(closed()) }
    }

    fn unique_key(&self, kind: &KindInfo) -> Answer<Option<String>> {
        let Some(key) = &self.unique_key else { return Ok(None) };
        if key.is_empty() || key.len() > MAX_UNIQUE_KEY || key.chars().any(char::is_control) {
            let detail = format!("unique_key must be 1 to {MAX_UNIQUE_KEY} bytes without control characters.");
            return Err(Problem::field("/unique_key", detail));
        }
        Ok(Some(format!("{CLIENT_KEY}{}:{key}", kind.kind)))
    }
}

/// The key as the client gave it.
pub(super) fn shown_unique_key(key: &str, kind: &str) -> String {
    let given =
        key.strip_prefix(CLIENT_KEY).and_then(|key| key.strip_prefix(kind)).and_then(|key| key.strip_prefix(':'));
    given.unwrap_or(key).to_owned()
}

/// What the queue said, as an answer.
pub(in crate::v1) fn accepted(enqueued: Enqueued) -> Answer<Accepted> {
    match enqueued {
        Enqueued::Created(id) => Ok(Accepted { id: id.to_string(), existed: false, replaced: false }),
        Enqueued::Exists(id) => Ok(Accepted { id: id.to_string(), existed: true, replaced: false }),
        Enqueued::Replaced(id) => Ok(Accepted { id: id.to_string(), existed: true, replaced: true }),
        Enqueued::BatchClosed(_) => Err(closed()),
        Enqueued::UniqueTaken(id) => {
            Err(Problem::new(ProblemType::UniqueKeyTaken, format!("Job {id} holds this unique key.")).about_job(id))
        }
        Enqueued::IdempotencyConflict(id) => {
            let detail = format!("Job {id} was submitted with this key and other contents.");
            Err(Problem::new(ProblemType::IdempotencyKeyReused, detail).about_job(id))
        }
    }
}

fn closed() -> Problem {
    Problem::new(ProblemType::StateConflict, "The batch does not exist, or it has ended.")
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}
