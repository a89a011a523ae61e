//! What is known about a kind of job besides its policy.

use std::time::Duration;

use postrider_queue::{Job, JobKind, NewJob, QueueName, Tenant};
use serde_json::Value;
use utoipa::PartialSchema;

use crate::{roles::Permission, scopes::Share};

/// Who may submit a kind through the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Submit {
    /// Only the platform itself.
    Never,
    /// API clients with this permission.
    By(Permission),
}

/// What a payload type declares for the catalogue, next to its [`Job`] policy.
pub trait Declared: Job + PartialSchema {
    /// One sentence for the API's documentation.
    const SUMMARY: &'static str;
    /// Who may submit it.
    const SUBMIT: Submit = Submit::Never;
    /// Whether a client may choose its queue and lane.
    const CHOOSES_LANE: bool = false;

    /// Bounds that the schema cannot express.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// What a submitted job of this payload shares a bound with, whatever lane it is in.
    fn share(&self) -> Option<Share> {
        None
    }
}

/// A submitted payload does not fit its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the payload does not fit kind {kind}: {reason}")]
pub struct PayloadError {
    pub kind: &'static str,
    pub reason: String,
}

/// One entry of the catalogue.
#[derive(Debug, Clone)]
pub struct KindInfo {
    pub kind: JobKind,
    pub aliases: &'static [&'static str],
    pub queue: QueueName,
    pub summary: &'static str,
    pub submit: Submit,
    pub chooses_lane: bool,
    pub max_attempts: u32,
    /// Hard deadline of one attempt.
    pub timeout: Duration,
    /// How long a finished record stays readable.
    pub keep: Duration,
    /// JSON Schema of the payload.
    pub schema: Value,
    new_job: fn(Tenant, Value) -> Result<NewJob, String>,
}

impl KindInfo {
    pub(super) fn of<J: Declared>() -> Self {
        Self {
            kind: J::KIND,
            aliases: J::ALIASES,
            queue: J::QUEUE,
            summary: J::SUMMARY,
            submit: J::SUBMIT,
            chooses_lane: J::CHOOSES_LANE,
            max_attempts: J::MAX_ATTEMPTS,
            timeout: J::TIMEOUT,
            keep: J::KEEP,
            schema: schema::<J>(),
            new_job: new_job::<J>,
        }
    }

    /// A job of this kind with the given payload, under the kind's policy; or why the payload does not fit.
    ///
    /// Clients may not send fields the schema does not have: a typing error would pass unnoticed. Workers accept them, because a
    /// newer process may have put them there during an upgrade.
    pub fn new_job(&'static self, tenant: Tenant, payload: Value) -> Result<NewJob, PayloadError> {
        let unknown = |field: &&String| self.schema["properties"].get(field.as_str()).is_none();
        let result = match payload.as_object().map(|fields| fields.keys().find(unknown)) {
            // serde would take an array for an object, with its fields in the order of their declaration.
            None => Err("it is not an object".to_owned()),
            Some(Some(field)) => Err(format!("it has no field `{}`", field.chars().take(80).collect::<String>())),
            Some(None) => (self.new_job)(tenant, payload),
        };
        result.map_err(|reason| PayloadError { kind: self.kind.as_str(), reason })
    }
}

fn schema<J: Declared>() -> Value {
    let mut schema = serde_json::to_value(J::schema()).unwrap_or_default();
    if let Some(object) = schema.as_object_mut() {
        object.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    schema
}

fn new_job<J: Declared>(tenant: Tenant, payload: Value) -> Result<NewJob, String> {
    let job: J = serde_json::from_value(payload).map_err(|error| error.to_string())?;
    job.check()?;
    let mut new = NewJob::of(tenant, &job).map_err(|error| error.to_string())?;
    new.lane.scopes.extend(job.share().map(Share::scope));
    Ok(new)
}
