//! The parent's part: lends the lease, takes reports, sees the end.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use postrider_queue::Outcome;
use tokio::sync::watch;
use tokio::time::Instant;

use super::child::Child;
use super::line::{Assignment, Loan, Order, Report};
use crate::context::JobContext;
use crate::dispatch::{STUBBORN, asked};

/// How long a child may take to connect to everything and begin.
const START_LIMIT: Duration = Duration::from_mins(1);
/// The child keeps the deadline itself; the parent waits this much longer.
const MARGIN: Duration = Duration::from_secs(5);
/// The lease is told again at this distance.
const TELL_EVERY: Duration = Duration::from_millis(500);
/// Whoever killed the child with SIGKILL may be about to kill this process, too: not a crash of the job's making.
const SECOND_THOUGHT: Duration = Duration::from_secs(1);

const SIGKILL: i32 = 9;

/// How it ended.
pub(super) enum Ended {
    Outcome(Outcome),
    /// The child died of its job.
    Crashed(ExitStatus),
    /// The child had to be killed at the deadline.
    Overdue,
    Lost,
    /// This process stops.
    Cut,
    /// The handler never ran.
    NotBegun(String),
}

impl Ended {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Outcome(_) => "outcome",
            Self::Crashed(_) => "crashed",
            Self::Overdue => "overdue",
            Self::Lost => "lost",
            Self::Cut => "cut",
            Self::NotBegun(_) => "not_begun",
        }
    }
}

/// Runs the job in a new child. When this returns the child is gone.
pub(super) async fn attend(
    job: &JobContext,
    payload: Vec<u8>,
    limit: Duration,
    cut: &mut watch::Receiver<bool>,
) -> Ended {
    let mut child = match Child::start() {
        Ok(child) => child,
        Err(error) => return Ended::NotBegun(error.to_string()),
    };
    child.order(&Order::Run(Box::new(Assignment::of(job, payload)))).await;
    let (mut begun, mut told, mut stopping) = (false, false, cut.clone());
    let mut tell = tokio::time::interval(TELL_EVERY);
    let late = tokio::time::sleep(START_LIMIT);
    tokio::pin!(late);
    loop {
        tokio::select! {
            report = child.report() => match report {
                Some(Report::Begun) => {
                    begun = true;
                    late.as_mut().reset(Instant::now() + limit + STUBBORN + MARGIN);
                }
                Some(Report::Progress(progress)) => job.lease.progress(progress).await,
                Some(Report::Log(line)) => job.lease.log(line).await,
                Some(Report::Ended(outcome)) => {
                    let _ = child.ended().await;
                    return Ended::Outcome(outcome);
                }
                None => return gone(child, begun, cut).await,
            },
            _ = tell.tick() => {
                if job.lease.lost() {
                    let _ = child.kill().await;
                    return Ended::Lost;
                }
                child.order(&Order::Lease(Loan::of(&job.lease))).await;
            }
            () = job.lease.interrupted(), if !told => {
                told = true;
                tell.reset_immediately();
            }
            () = &mut late => {
                let _ = child.kill().await;
                return if begun { Ended::Overdue } else { Ended::NotBegun("it did not begin in time".to_owned()) };
            }
            () = asked(&mut stopping) => {
                let _ = child.kill().await;
                return Ended::Cut;
            }
        }
    }
}

async fn gone(child: Child, begun: bool, cut: &mut watch::Receiver<bool>) -> Ended {
    let status = match child.ended().await {
        Ok(status) => status,
        Err(error) => return Ended::NotBegun(error.to_string()),
    };
    if !begun {
        return Ended::NotBegun(status.to_string());
    }
    if status.signal() == Some(SIGKILL) && tokio::time::timeout(SECOND_THOUGHT, asked(cut)).await.is_ok() {
        return Ended::Cut;
    }
    Ended::Crashed(status)
}
