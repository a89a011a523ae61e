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
use postrider_shared::payloads;
use tokio::sync::watch;
use tower::Service;

pub(crate) use self::deadline::{STUBBORN, asked, overdue};
use self::report::Report;
use crate::context::{Context, JobContext, Services};
use crate::quarantine;
use crate::registry::{Registered, Registry};

/// How often a job of a kind nobody here knows is put off before it is buried: over an hour, enough for an upgrade.
const UNKNOWN_SNOOZES: u32 = 20;

/// The service an apalis worker calls for every job.
#[derive(Clone)]
pub struct Dispatch {
    registry: Arc<Registry>,
    services: Arc<Services>,
    cut: watch::Sender<bool>,
}

impl Dispatch {
    pub fn new(registry: Arc<Registry>, services: Arc<Services>) -> Self {
        Self { registry, services, cut: watch::Sender::new(false) }
    }

    /// Ends all runs where they are, so that none goes on here while its job, given back, runs elsewhere.
    pub fn cut(&self) {
        self.cut.send_replace(true);
    }

    async fn run(self, claimed: Claimed) -> Outcome {
        let Some(registered) = self.registry.find(claimed.kind.as_str()) else {
            return Err(self.unknown(&claimed));
        };
        let job = JobContext::of(&claimed);
        let cut = self.cut.subscribe();
        if claimed.is_suspect() {
            return quarantine::run(job, claimed.payload, registered.policy.timeout, claimed.crashes, cut).await;
        }
        run(registered, job, claimed.payload, self.services, cut).await
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

/// Runs a job in this process.
pub(crate) async fn run(
    registered: &Registered,
    job: JobContext,
    payload: Vec<u8>,
    services: Arc<Services>,
    cut: watch::Receiver<bool>,
) -> Outcome {
    let report = Report::begin(&job);
    let lease = job.lease.clone();
    let handler = registered.run;
    let run = async move {
        let payload = payloads::resolve(&services.objects, &job.tenant, payload).await?;
        handler(payload, Context::new(job, services)).await
    };
    let kept = deadline::keep(registered.policy.timeout, &registered.kind, report.instrument(Box::pin(run)), cut).await;
    let outcome = kept.unwrap_or_else(|| {
        lease.release();
        Err(Stop::retry("the worker is stopping"))
    });
    report.end(&outcome);
    outcome
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
