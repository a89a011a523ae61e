//! The child's part: one job, under a lease that the parent lends.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use postrider_queue::{Done, Stop};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};

use super::line::{Assignment, Order, Report};
use crate::context::Services;
use crate::dispatch;
use crate::lease::{JobLease, Lent, Note, Terms};
use crate::registry::Registry;

/// The first argument of a child; the second is its parent's process id. Standard input is the socket.
pub(super) const ARGUMENT: &str = "quarantined";

/// Why the child could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error("the parent cannot be reached: {0}")]
    Socket(#[from] io::Error),
    #[error("the parent said nothing")]
    Unassigned,
}

/// Whether this process was started to run one suspect. Called first thing in `main`: from here on it dies with its
/// parent, by the kernel's hand on Linux, by the end of the socket elsewhere.
pub fn is_child() -> bool {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some(ARGUMENT) {
        return false;
    }
    #[cfg(target_os = "linux")]
    bind_to_parent(arguments.next().as_deref().unwrap_or_default());
    true
}

/// Ends this process with its parent, or at once if that is gone, and before it if memory runs out.
#[cfg(target_os = "linux")]
pub(crate) fn bind_to_parent(parent: &str) {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};

    let bound = set_parent_process_death_signal(Some(Signal::KILL)).is_ok();
    // It may have died before the call.
    if !bound || getppid().map(|parent| parent.as_raw_nonzero().to_string()).as_deref() != Some(parent) {
        std::process::exit(1);
    }
    // A job that eats all memory should cost this process, not its parent.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}

/// Runs the one job that the parent assigns.
pub async fn serve(registry: Arc<Registry>, services: Arc<Services>) -> Result<(), ServiceError> {
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let reports = Reports(Arc::new(Mutex::new(socket.try_clone()?)));
    // Both are for the parent, which ends this process itself.
    let _swallowed = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (assignment, terms) = listen(socket)?.await.map_err(|_| ServiceError::Unassigned)?;
    let Some(registered) = registry.find(assignment.kind.as_str()) else {
        return Err(ServiceError::Unassigned); // the parent, which is the same program, knows it
    };
    let tell = {
        let reports = reports.clone();
        Arc::new(move |note| match note {
            Note::Progress(progress) => reports.send(&Report::Progress(progress)),
            Note::Log(line) => reports.send(&Report::Log(line)),
        })
    };
    let (job, payload) = assignment.job(JobLease::Lent(Lent::new(terms, tell)));
    reports.send(&Report::Begun);
    let never_cut = watch::Sender::new(false);
    let outcome = dispatch::run(registered, job, payload, services, never_cut.subscribe()).await;
    reports.send(&Report::Ended(outcome));
    Ok(())
}

#[derive(Clone)]
struct Reports(Arc<Mutex<UnixStream>>);

impl Reports {
    fn send(&self, report: &Report) {
        let line = serde_json::to_string(report).or_else(|error| {
            serde_json::to_string(&Report::Ended(Err(Stop::fail(format_args!("its outcome cannot be told: {error}")))))
        });
        let Ok(mut line) = line else { return };
        // An output may be nested as deep as its maker likes, but not deeper than the parent reads.
        if let Report::Ended(Ok(done)) = report
            && serde_json::from_str::<Report>(&line).is_err()
        {
            let done = Done { output: Some(json!({ "dropped": "an output that is nested too deep" })), ..done.clone() };
            line = serde_json::to_string(&Report::Ended(Ok(done))).unwrap_or(line);
        }
        let mut socket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = socket.write_all(format!("{line}\n").as_bytes()) {
            tracing::debug!(%error, "the parent does not listen");
        }
    }
}

type Assigned = (Box<Assignment>, watch::Receiver<Terms>);

/// Reads orders on a thread of its own, which a handler that blocks the runtime does not stop.
fn listen(socket: UnixStream) -> io::Result<oneshot::Receiver<Assigned>> {
    let (assign, assigned) = oneshot::channel();
    std::thread::Builder::new().name("parent".to_owned()).spawn(move || {
        let (mut assign, mut terms) = (Some(assign), None::<watch::Sender<Terms>>);
        for line in BufReader::new(socket).lines() {
            let Some(order) = line.ok().and_then(|line| serde_json::from_str(&line).ok()) else { break };
            match order {
                Order::Run(assignment) => {
                    let sender = watch::Sender::new(assignment.lease.terms());
                    if let Some(assign) = assign.take() {
                        let _ = assign.send((assignment, sender.subscribe()));
                    }
                    terms = Some(sender);
                }
                Order::Lease(loan) => {
                    if let Some(terms) = &terms {
                        terms.send_replace(loan.terms());
                    }
                }
            }
        }
        // Nobody listens any more: what this process could still do would be believed by nobody.
        std::process::exit(1);
    })?;
    Ok(assigned)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn an_output_that_is_nested_too_deep_is_dropped_and_the_job_is_done() {
        let (parent, child) = UnixStream::pair().unwrap();
        let deep = (0..126).fold(json!("found"), |inner, _| json!([inner]));
        Reports(Arc::new(Mutex::new(child))).send(&Report::Ended(Ok(Done::with(deep))));
        let mut line = String::new();
        (&parent).read_to_string(&mut line).unwrap();
        let Ok(Report::Ended(Ok(done))) = serde_json::from_str(&line) else { panic!("not read: {line}") };
        assert_eq!(done.output, Some(json!({ "dropped": "an output that is nested too deep" })));
    }
}
