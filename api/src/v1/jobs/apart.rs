//! Payloads too large for the queue: they are stored before their job is enqueued.

use postrider_queue::{Enqueued, JobId, MAX_PAYLOAD_BYTES, NewJob, QueueError, UniqueFor};
use postrider_shared::ids::{PayloadId, TenantId};

use crate::app::App;
use crate::problem::{Answer, Problem};

/// A stored payload whose job is on its way into the queue.
pub(super) struct Apart {
    tenant: TenantId,
    id: PayloadId,
    job: JobId,
}

/// Stores the payload of a job if it is too large for the queue, and puts a reference in its place.
pub(super) async fn store(app: &App, tenant: TenantId, job: &mut NewJob) -> Answer<Option<Apart>> {
    if job.payload.len() <= MAX_PAYLOAD_BYTES {
        return Ok(None);
    }
    if job.unique_for == UniqueFor::Replace {
        let detail = format!("A job that takes another's place has a payload of at most {MAX_PAYLOAD_BYTES} bytes.");
        return Err(Problem::field("/unique_for", detail));
    }
    let id = *job.id.get_or_insert_with(|| app.queue().job_id(&job.tenant));
    let reference = app.payloads().store(tenant, id, std::mem::take(&mut job.payload)).await?;
    job.payload = reference.to_payload();
    Ok(Some(Apart { tenant, id: reference.id, job: id }))
}

impl Apart {
    /// Removes the payload if the queue said for certain that there is no such job. What cannot be removed now, or is in doubt,
    /// is left to the scheduler's sweep.
    pub(super) async fn settle(self, app: &App, answer: &Result<Enqueued, QueueError>) {
        let refused = match answer {
            Ok(Enqueued::Created(_)) => false,
            // Exists may be our own job, if the queue client had to ask twice.
            Ok(
                Enqueued::Exists(_)
                | Enqueued::Replaced(_)
                | Enqueued::BatchClosed(_)
                | Enqueued::UniqueTaken(_)
                | Enqueued::IdempotencyConflict(_),
            ) => true,
            Err(error) => matches!(error, QueueError::Full | QueueError::TooDeep { .. } | QueueError::Invalid { .. }),
        };
        if !refused || !matches!(app.queue().get(self.job).await, Ok(None)) {
            return;
        }
        if let Err(error) = app.payloads().remove(self.tenant, self.id).await {
            tracing::warn!(payload.id = %self.id, %error, "a payload that no job needs is left to the sweep");
        }
    }
}
