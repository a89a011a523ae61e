//! A job as a client submits it, and what the queue said to it.

use chrono::{DateTime, Duration, Utc};
use postrider_queue::{Enqueued, IdempotencyKey, Lane, LaneName, MAX_PAYLOAD_BYTES, NewJob, QueueName};
use postrider_shared::ids::TenantId;
use postrider_shared::jobs::{self, KindInfo, Submit};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::Accepted;
use crate::app::App;
use crate::auth::Caller;
use crate::idempotency;
use crate::problem::{Answer, Problem, ProblemType};

/// Longest a job may be scheduled ahead.
const LONGEST_AHEAD: Duration = Duration::days(366);
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
    /// What it is given, at most 256 KiB; its schema is in `GET /v1/kinds`.
    #[serde(default = "nothing")]
    #[schema(value_type = Object)]
    pub payload: Value,
    /// Not before this time; at most 366 days ahead.
    pub run_at: Option<DateTime<Utc>>,
    /// After so many failed attempts the job is dead; the kind's own number if absent.
    #[schema(minimum = 1, maximum = 100)]
    pub max_attempts: Option<u32>,
    /// Refuse the job (409) while another one with this key waits or runs.
    #[schema(min_length = 1, max_length = 255)]
    pub unique_key: Option<String>,
    /// As the header `Idempotency-Key`; for one job of a batch.
    #[schema(min_length = 1, max_length = 255, pattern = "^[!-~]([ -~]*[!-~])?$")]
    pub idempotency_key: Option<String>,
    /// Another queue than the kind's own; `diagnostic.*` only.
    pub queue: Option<String>,
    /// A lane of the queue; `diagnostic.*` only.
    pub lane: Option<String>,
}

fn nothing() -> Value {
    Value::Object(serde_json::Map::new())
}

impl Submission {
    /// The job, if the kind, the caller's role and all values allow it.
    pub(super) fn into_job(self, app: &App, caller: Caller, tenant: TenantId, key: Option<String>) -> Answer<NewJob> {
        let kind = self.kind(caller)?;
        self.check_times(app)?;
        let key = self.idempotency_key(key)?;
        let (queue, lane) = self.place(kind)?;
        let unique_key = self.unique_key(kind)?;
        let mut job = kind
            .new_job(tenant.into(), self.payload)
            .map_err(|error| Problem::new(ProblemType::InvalidPayload, error.to_string()))?;
        if job.payload.len() > MAX_PAYLOAD_BYTES {
            let detail = format!("The payload has {} bytes; {MAX_PAYLOAD_BYTES} are allowed.", job.payload.len());
            return Err(Problem::new(ProblemType::PayloadTooLarge, detail));
        }
        job.run_at = self.run_at;
        job.idempotency_key = key;
        job.max_attempts = self.max_attempts.unwrap_or(job.max_attempts);
        if let Some(queue) = queue {
            job.queue = queue;
        }
        if let Some(lane) = lane {
            job.lane = Lane::named(lane);
        }
        match (unique_key, &job.unique_key) {
            (Some(_), Some(_)) => {
                let detail = format!("Jobs of kind {} have a unique key of their own.", kind.kind);
                Err(Problem::field("/unique_key", detail))
            }
            (Some(key), None) => Ok(job.unique_key(key)),
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
            Submit::By(role) => caller.must_be(role).map(|()| kind),
        }
    }

    fn check_times(&self, app: &App) -> Answer<()> {
        if self.run_at.is_some_and(|at| at > app.clock().now() + LONGEST_AHEAD) {
            let detail = format!("run_at may be at most {} days ahead.", LONGEST_AHEAD.num_days());
            return Err(Problem::field("/run_at", detail));
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
        let fingerprint = crate::idempotency::hex(&Sha256::digest(said));
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
pub(super) fn accepted(enqueued: Enqueued) -> Answer<Accepted> {
    match enqueued {
        Enqueued::Created(id) => Ok(Accepted { id: id.to_string(), existed: false }),
        Enqueued::Exists(id) | Enqueued::Replaced(id) => Ok(Accepted { id: id.to_string(), existed: true }),
        Enqueued::BatchClosed(_) => {
            Err(Problem::new(ProblemType::StateConflict, "The batch does not exist, or it has ended."))
        }
        Enqueued::UniqueTaken(id) => {
            Err(Problem::new(ProblemType::UniqueKeyTaken, format!("Job {id} holds this unique key.")).about_job(id))
        }
        Enqueued::IdempotencyConflict(id) => {
            let detail = format!("Job {id} was submitted with this key and other contents.");
            Err(Problem::new(ProblemType::IdempotencyKeyReused, detail).about_job(id))
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}
