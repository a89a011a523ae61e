//! A hard deadline that holds even against a handler that never yields.

use std::time::Duration;

use futures::future::BoxFuture;
use postrider_queue::{CapUse, JobKind, Outcome, Stop};
use postrider_shared::telemetry;
use tokio::sync::watch;
use tokio::task::JoinError;
use tracing::instrument::Instrumented;

/// How long an aborted handler may take to notice; one that blocks its thread never does.
pub(crate) const STUBBORN: Duration = Duration::from_secs(10);

/// Runs the handler as a task of its own, so that jobs use all cores and a panic ends one job only. At its deadline, or
/// when all runs are cut, it is ended: nothing is returned for one that was cut. A handler that ignores this ends the
/// process: released while it still runs, its job would run twice.
pub(super) async fn keep(
    limit: Duration,
    kind: &JobKind,
    run: Instrumented<BoxFuture<'static, Outcome>>,
    mut cut: watch::Receiver<bool>,
) -> Option<Outcome> {
    #[expect(clippy::disallowed_methods, reason = "the one place where handlers are started; it waits for them")]
    let mut task = tokio::spawn(run);
    let late = tokio::select! {
        ended = &mut task => return Some(ended.unwrap_or_else(|error| Err(panicked(error)))),
        () = tokio::time::sleep(limit) => true,
        () = asked(&mut cut) => false,
    };
    task.abort();
    match tokio::time::timeout(STUBBORN, &mut task).await {
        // It ended in the very moment: its outcome counts.
        Ok(Ok(outcome)) => Some(outcome),
        Ok(Err(error)) if error.is_panic() => Some(Err(panicked(error))),
        Ok(Err(_aborted)) => late.then(|| Err(overdue(limit))),
        Err(_elapsed) => {
            tracing::error!(job.kind = %kind, "a handler ignores its end; the process ends before its job is released");
            telemetry::flush();
            std::process::exit(70);
        }
    }
}

/// Ends when all runs are to be cut; never if nobody can ask any more.
pub(crate) async fn asked(cut: &mut watch::Receiver<bool>) {
    if cut.wait_for(|cut| *cut).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// What a run over its deadline ends with. It may have been in the middle of a send.
pub(crate) fn overdue(limit: Duration) -> Stop {
    let error = format_args!("not done within its deadline of {} s", limit.as_secs_f64());
    Stop::retry(error).with_cap(CapUse::Unknown)
}

fn panicked(error: JoinError) -> Stop {
    let Ok(payload) = error.try_into_panic() else {
        return Stop::retry("the worker is shutting down");
    };
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into());
    Stop::retry(format_args!("the handler panicked: {text}")).with_cap(CapUse::Unknown)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::future::BoxFuture;
    use postrider_queue::{CapUse, Done, JobKind, Outcome, Stop};
    use tokio::sync::watch;
    use tracing::Instrument;

    use super::keep;

    async fn kept(limit: Duration, run: impl Future<Output = Outcome> + Send + 'static) -> String {
        let run: BoxFuture<'static, Outcome> = Box::pin(run);
        let cut = watch::Sender::new(false);
        match keep(limit, &JobKind::new("test"), run.in_current_span(), cut.subscribe()).await {
            Some(Ok(_)) => "done".into(),
            Some(Err(stop @ Stop::Retry { cap: CapUse::Unknown, .. })) => stop.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_run_that_is_cut_has_no_outcome_and_is_over() {
        let (alive, mut gone) = tokio::sync::mpsc::channel::<()>(1);
        let hanging: BoxFuture<'static, Outcome> = Box::pin(async move {
            let _alive = alive;
            std::future::pending().await
        });
        let cut = watch::Sender::new(true);
        let kept =
            keep(Duration::from_mins(1), &JobKind::new("test"), hanging.in_current_span(), cut.subscribe()).await;
        assert!(kept.is_none());
        assert_eq!(gone.try_recv(), Err(tokio::sync::mpsc::error::TryRecvError::Disconnected));
    }

    #[tokio::test]
    async fn a_panic_is_a_retry_with_its_message() {
        let second = Duration::from_secs(1);
        assert_eq!(kept(second, async { Ok(Done::empty()) }).await, "done");
        let panicking = kept(second, async { panic!("no {} left", "paper") }).await;
        assert_eq!(panicking, "retry: the handler panicked: no paper left");
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_hangs_is_ended_at_its_deadline() {
        let hanging = kept(Duration::from_millis(1500), std::future::pending()).await;
        assert_eq!(hanging, "retry: not done within its deadline of 1.5 s");
    }
}
