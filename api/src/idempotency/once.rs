//! What a request that may be repeated does once.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use postrider_queue::NewJob;
use postrider_shared::requests::Ticket;
use uuid::Uuid;

use crate::app::App;

/// What a request with an idempotency key hands to its handler. If a process ends after the handler's commit and before the answer
/// was stored, the repeat derives the same id and finds what was made, instead of making a second one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Once {
    seed: Option<Uuid>,
    committed: bool,
}

impl Once {
    pub(super) fn of(ticket: &Ticket) -> Self {
        Self { seed: Some(ticket.seed()), committed: ticket.is_committed() }
    }

    /// The id: derived for a request that may be repeated, else a random one.
    pub fn id<T>(self, derived: impl FnOnce(&[&str]) -> T, random: impl FnOnce() -> T) -> T {
        self.seed.map_or_else(random, |seed| derived(&["request", &seed.to_string()]))
    }

    /// The job, under an id that a repeat of the request derives again: it is enqueued once.
    pub fn job(self, app: &App, job: NewJob) -> NewJob {
        let queue = app.queue();
        let id = self.id(|parts| queue.derived_job_id(&job.tenant, parts), || queue.job_id(&job.tenant));
        job.with_id(id)
    }

    /// The same for all runs of this request; `None` for one that cannot be repeated.
    pub const fn seed(self) -> Option<Uuid> {
        self.seed
    }

    /// Whether an earlier run of this request has changed what it was to change, and only its answer was lost.
    pub const fn is_done(self) -> bool {
        self.committed
    }
}

impl<S: Sync> FromRequestParts<S> for Once {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or_default())
    }
}
