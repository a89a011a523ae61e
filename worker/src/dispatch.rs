//! From a claimed job to its outcome: finds the handler, keeps its deadline, survives its panics, reports it.
//!
//! apalis's own layers for this label every job with one Rust type and count a snooze as a failure; here the kind is
//! the label, and only what ends badly is an error.

mod deadline;
mod report;

use std::sync::Arc;
use std::task::{Context as Poller, Poll};

use apalis::prelude::{BoxDynError, Task};
use chrono::TimeDelta;
use futures::future::BoxFuture;
use postrider_queue::{Claimed, Done, Outcome, Stop};
use tower::Service;

use self::report::Report;
use crate::context::{Context, JobContext, Services};
use crate::registry::Registry;

/// How often a job of a kind nobody here knows is put off before it is buried: over an hour, enough for an upgrade.
const UNKNOWN_SNOOZES: u32 = 20;

/// The service an apalis worker calls for every job.
#[derive(Clone)]
pub struct Dispatch {
    registry: Arc<Registry>,
    services: Arc<Services>,
}

impl Dispatch {
    pub fn new(registry: Arc<Registry>, services: Arc<Services>) -> Self {
        Self { registry, services }
    }

    async fn run(self, claimed: Claimed) -> Outcome {
        let Some(registered) = self.registry.find(claimed.kind.as_str()) else {
            return Err(self.unknown(&claimed));
        };
        let report = Report::begin(&claimed);
        let job = JobContext::of(&claimed);
        let run = (registered.run)(claimed.payload, Context::new(job, self.services));
        let outcome = deadline::keep(registered.policy.timeout, &registered.kind, report.instrument(run)).await;
        report.end(&outcome);
        outcome
    }

    fn unknown(&self, claimed: &Claimed) -> Stop {
        let kind = &claimed.kind;
        if claimed.snoozes >= UNKNOWN_SNOOZES {
            tracing::error!(job.id = %claimed.id, job.kind = %kind, "buried: no worker knows this kind");
            return Stop::fail(format_args!("no worker knows the kind {kind}"));
        }
        let wait = TimeDelta::seconds(5 << claimed.snoozes.min(6));
        tracing::warn!(job.id = %claimed.id, job.kind = %kind, "put off: this worker does not know the kind");
        Stop::snooze(self.services.clock.now() + wait, format_args!("this worker does not know the kind {kind}"))
    }
}

impl Service<Task<Claimed>> for Dispatch {
    type Response = Done;
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<Done, BoxDynError>>;

    fn poll_ready(&mut self, _: &mut Poller<'_>) -> Poll<Result<(), BoxDynError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, task: Task<Claimed>) -> Self::Future {
        let dispatch = self.clone();
        Box::pin(async move { dispatch.run(task.args).await.map_err(Into::into) })
    }
}
