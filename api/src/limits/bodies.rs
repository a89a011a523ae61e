//! How large a body may be and how long it may take to come, in one table.

use std::time::Duration;

use axum::http::Method;
use postrider_queue::MAX_PAYLOAD_BYTES;

/// What of a request stands around a job's payload, at most.
const AROUND: usize = 64 * 1024;
/// Largest batch that is read as a whole.
const ARRAY: usize = 16 * 1024 * 1024;
/// Longest time for one line of a stream. Less than its stall, so that its sender hears what became of the lines before.
pub const LINE_TIME: Duration = Duration::from_secs(60);

/// What operations take bodies of one sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyClass {
    /// A page's form: one of two words.
    Form,
    /// From strangers, who want to become somebody: addresses, passwords, tokens.
    SignIn,
    /// A thing of the business, as JSON.
    Ordinary,
    /// One job with its payload.
    Job,
    /// Many jobs: an array, which is read as a whole, or a stream of lines, which has no end of its own.
    Batch,
}

/// What a body may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyBounds {
    /// Most bytes of one that is read as a whole; of a stream, those of one line.
    pub bytes: usize,
    /// Longest time for one that is read as a whole. Less than the request may take, so that its sender hears what was wrong.
    pub time: Duration,
    /// Longest time in which nothing comes.
    pub stall: Duration,
}

impl BodyClass {
    /// The class of an operation. `path` is the route's pattern.
    pub fn of(method: &Method, path: &str) -> Self {
        match path {
            "/v1/jobs" if method == Method::POST => Self::Job,
            "/v1/jobs/batch" => Self::Batch,
            crate::decision::PATH => Self::Form,
            _ if path.starts_with("/v1/auth/") => Self::SignIn,
            _ => Self::Ordinary,
        }
    }

    /// What it may take where a payload may have so many bytes.
    pub fn bounds(self, payload: usize) -> BodyBounds {
        let job = payload + AROUND;
        let (bytes, time, stall) = match self {
            Self::Form => (1024, 20, 20),
            Self::SignIn => (16 * 1024, 20, 20),
            // A corrected payload of a redrive is among them.
            Self::Ordinary => (MAX_PAYLOAD_BYTES + AROUND, 20, 20),
            Self::Job => (job, 60, 20),
            Self::Batch => (job.max(ARRAY), 600, 90),
        };
        BodyBounds { bytes, time: Duration::from_secs(time), stall: Duration::from_secs(stall) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_has_the_bounds_of_its_class() {
        for (method, path, class) in [
            (Method::POST, "/v1/jobs", BodyClass::Job),
            (Method::GET, "/v1/jobs", BodyClass::Ordinary),
            (Method::POST, "/v1/jobs/{id}/cancel", BodyClass::Ordinary),
            (Method::POST, "/v1/jobs/batch", BodyClass::Batch),
            (Method::POST, "/v1/auth/login", BodyClass::SignIn),
            (Method::POST, "/q/{token}", BodyClass::Form),
            (Method::POST, "", BodyClass::Ordinary),
        ] {
            assert_eq!(BodyClass::of(&method, path), class, "{method} {path}");
        }
        for payload in [0, 10 * 1024 * 1024, 100 * 1024 * 1024] {
            let [form, sign_in, ordinary, job, batch] =
                [BodyClass::Form, BodyClass::SignIn, BodyClass::Ordinary, BodyClass::Job, BodyClass::Batch]
                    .map(|class| class.bounds(payload));
            assert!(form.bytes < sign_in.bytes && sign_in.bytes < ordinary.bytes, "strangers send least");
            assert!(job.bytes > payload && batch.bytes >= job.bytes, "a job may stand in a batch of one");
            assert!(batch.stall > LINE_TIME && batch.time > LINE_TIME);
        }
    }
}
