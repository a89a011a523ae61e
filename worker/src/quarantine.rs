//! Runs a suspect, a job whose process crashed twice while it ran, alone in a child process.
//!
//! The parent keeps the lease, lends it over a socket and takes the outcome back; it is the witness. A child that dies
//! while the handler runs and its parent lives was killed by its job: poison, buried. A parent that dies takes the child
//! along, and that says nothing about the job: the rescue gives it to another worker. A session of the child's own was
//! rejected, because its expiry would not tell these two apart.

mod attendance;
mod child;
mod line;
mod service;

use std::time::Duration;

use postrider_queue::{CapUse, Outcome, Stop};
use tokio::sync::watch;

use self::attendance::{Ended, attend};
pub(crate) use self::child::program;
#[cfg(target_os = "linux")]
pub(crate) use self::service::bind_to_parent;
pub use self::service::{ServiceError, is_child, serve};
use crate::context::JobContext;
use crate::dispatch::{asked, overdue};

/// After a run that could not take place through no fault of the job.
const PAUSE: Duration = Duration::from_secs(5);

/// Runs the job in a child process and waits for what becomes of it.
pub(crate) async fn run(
    job: JobContext,
    payload: Vec<u8>,
    limit: Duration,
    crashes: u32,
    mut cut: watch::Receiver<bool>,
) -> Outcome {
    tracing::warn!(job.id = %job.id, job.kind = %job.kind, crashes, "suspected of killing its processes: runs in one of its own");
    let ended = attend(&job, payload, limit, &mut cut).await;
    metrics::counter!("postrider_quarantined_runs_total", "ended" => ended.word()).increment(1);
    match ended {
        Ended::Outcome(outcome) => outcome,
        Ended::Crashed(status) => {
            tracing::error!(job.id = %job.id, job.kind = %job.kind, %status, "poison: it killed a process in which it was alone");
            let error = format_args!(
                "poison: its process ended ({status}) while it ran alone, after {crashes} crashes in company"
            );
            Err(Stop::fail(error).with_cap(CapUse::Unknown))
        }
        Ended::Overdue => Err(overdue(limit)),
        Ended::Lost => Err(Stop::retry("the lease was lost")),
        Ended::Cut => release(&job, "the worker is stopping"),
        Ended::NotBegun(reason) => {
            tracing::error!(job.id = %job.id, reason, "a child process could not run a suspect");
            let _ = tokio::time::timeout(PAUSE, asked(&mut cut)).await;
            release(&job, "no child process could run it")
        }
    }
}

fn release(job: &JobContext, reason: &str) -> Outcome {
    job.lease.release();
    Err(Stop::retry(reason))
}
