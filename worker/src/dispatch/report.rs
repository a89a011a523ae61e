//! What a run tells: one span, one line at its end, its metrics. A failure is logged here and nowhere else.

use std::time::Instant;

use futures::future::BoxFuture;
use postrider_queue::{JobId, JobKind, Outcome, Stop};
use sentry::SentryFutureExt as _;
use tracing::instrument::Instrumented;
use tracing::{Instrument, Span};

use crate::context::JobContext;

/// One run of one job.
pub(super) struct Report {
    id: JobId,
    kind: JobKind,
    attempt: u32,
    max_attempts: u32,
    begun: Instant,
    span: Span,
}

impl Report {
    pub(super) fn begin(job: &JobContext) -> Self {
        let span = tracing::info_span!(
            "job",
            otel.name = %format_args!("job.{}", job.kind),
            job.id = %job.id,
            job.kind = %job.kind,
            job.tenant = %job.tenant,
            job.attempt = job.attempt,
        );
        let kind = job.kind.as_str().to_owned();
        let waited = (job.claimed_at - job.enqueued_at).to_std().unwrap_or_default();
        metrics::histogram!("postrider_job_age_at_start_seconds", "kind" => kind.clone()).record(waited);
        metrics::gauge!("postrider_jobs_running", "kind" => kind).increment(1);
        Self {
            id: job.id,
            kind: job.kind.clone(),
            attempt: job.attempt,
            max_attempts: job.max_attempts,
            begun: Instant::now(),
            span,
        }
    }

    /// The run inside its span, with an error-report scope of its own: jobs run side by side in one process.
    pub(super) fn instrument(&self, run: BoxFuture<'static, Outcome>) -> Instrumented<BoxFuture<'static, Outcome>> {
        let hub = sentry::Hub::new_from_top(sentry::Hub::current());
        hub.configure_scope(|scope| {
            scope.set_tag("job.kind", &self.kind);
            scope.set_tag("job.id", self.id);
            scope.set_tag("job.attempt", self.attempt);
        });
        let run: BoxFuture<'static, Outcome> = Box::pin(run.bind_hub(hub));
        run.instrument(self.span.clone())
    }

    pub(super) fn end(self, outcome: &Outcome) {
        let elapsed = self.begun.elapsed();
        let ended = name(outcome);
        let kind = self.kind.as_str().to_owned();
        metrics::gauge!("postrider_jobs_running", "kind" => kind.clone()).decrement(1);
        metrics::counter!("postrider_job_runs_total", "kind" => kind.clone(), "outcome" => ended).increment(1);
        metrics::histogram!("postrider_job_run_seconds", "kind" => kind).record(elapsed);
        let _in_span = self.span.enter();
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        match outcome {
            Ok(_) => tracing::debug!(elapsed_ms, "job done"),
            Err(Stop::Fail { error, .. }) => tracing::error!(elapsed_ms, %error, "job failed for good"),
            Err(Stop::Retry { error, .. }) if self.attempt >= self.max_attempts => {
                tracing::error!(elapsed_ms, %error, "job failed at its last attempt");
            }
            Err(Stop::Retry { error, .. }) => tracing::warn!(elapsed_ms, %error, "job will be tried again"),
            Err(Stop::Snooze { until, reason, .. }) => tracing::info!(elapsed_ms, %until, %reason, "job put off"),
            Err(Stop::Cancelled) => tracing::info!(elapsed_ms, "job cancelled"),
        }
    }
}

fn name(outcome: &Outcome) -> &'static str {
    match outcome {
        Ok(_) => "done",
        Err(Stop::Retry { .. }) => "retry",
        Err(Stop::Fail { .. }) => "fail",
        Err(Stop::Snooze { .. }) => "snooze",
        Err(Stop::Cancelled) => "cancelled",
    }
}
