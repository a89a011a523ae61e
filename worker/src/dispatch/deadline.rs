//! A hard deadline that holds even against a handler that never yields.

use std::time::Duration;

use futures::future::BoxFuture;
use postrider_queue::{CapUse, JobKind, Outcome, Stop};
use tokio::task::JoinError;
use tracing::instrument::Instrumented;

/// How long an aborted handler may take to notice; one that blocks its thread never does.
const STUBBORN: Duration = Duration::from_secs(10);

/// Runs the handler as a task of its own, so that jobs use all cores and a panic ends one job only. A handler that
/// ignores its deadline ends the process: released while it still runs, its job would run twice.
pub(super) async fn keep(limit: Duration, kind: &JobKind, run: Instrumented<BoxFuture<'static, Outcome>>) -> Outcome {
    #[expect(clippy::disallowed_methods, reason = "the one place where handlers are started; it waits for them")]
    let mut task = tokio::spawn(run);
    match tokio::time::timeout(limit, &mut task).await {
        Ok(ended) => ended.unwrap_or_else(|error| Err(panicked(error))),
        Err(_elapsed) => {
            task.abort();
            match tokio::time::timeout(STUBBORN, &mut task).await {
                // It ended in the very moment: its outcome counts.
                Ok(Ok(outcome)) => outcome,
                Ok(Err(error)) if error.is_panic() => Err(panicked(error)),
                Ok(Err(_aborted)) => {
                    let error = format_args!("not done within its deadline of {} s", limit.as_secs_f64());
                    // It may have been in the middle of a send.
                    Err(Stop::retry(error).with_cap(CapUse::Unknown))
                }
                Err(_elapsed) => {
                    tracing::error!(job.kind = %kind, "a handler ignores its deadline; the process ends before its job is released");
                    std::process::exit(70);
                }
            }
        }
    }
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
    use tracing::Instrument;

    use super::keep;

    async fn kept(limit: Duration, run: impl Future<Output = Outcome> + Send + 'static) -> String {
        let run: BoxFuture<'static, Outcome> = Box::pin(run);
        match keep(limit, &JobKind::new("test"), run.in_current_span()).await {
            Ok(_) => "done".into(),
            Err(stop @ Stop::Retry { cap: CapUse::Unknown, .. }) => stop.to_string(),
            Err(other) => panic!("{other}"),
        }
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
