//! One regular duty, and the loop that keeps it: bounded steps, failures logged once, and a stop that loses nothing.

use std::{future::Future, panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;
use postrider_queue::{Backoff, QueueError};
use postrider_shared::{
    database::StoreError, outbox::RelayError, payloads::SweepError, scopes::ScopeError, telemetry::chain,
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// A step that takes longer is given up and taken again; every step is bounded, so this means a server hangs.
const STEP_LIMIT: Duration = Duration::from_mins(1);
/// What a step in progress may still take when the process is asked to stop. Steps may be cut anywhere: each repeats
/// what was not recorded as done.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// How a failing duty is tried again: soon, then less and less often, spread over the replicas.
const RETRY: Backoff = Backoff { base: Duration::from_millis(500), factor: 2.0, max: Duration::from_secs(30) };

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing is left to do until the duty's next time.
    Rest,
    /// The step reached its bound, and there is more: take the next one at once.
    More,
}

impl Step {
    /// `More` if a step that may do `bound` things did that many.
    pub fn after(done: impl TryInto<u64>, bound: u64) -> Self {
        if done.try_into().unwrap_or(u64::MAX) >= bound { Self::More } else { Self::Rest }
    }

    /// `More` if one of the two is.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if self == Self::More { self } else { other }
    }
}

/// Why a step could not be done now. Every duty is tried again, whatever the reason.
#[derive(Debug, thiserror::Error)]
pub enum DutyError {
    #[error("the database: {0}")]
    Database(#[from] StoreError),
    #[error("the queue: {0}")]
    Queue(#[from] QueueError),
    #[error("relaying: {0}")]
    Relay(#[from] RelayError),
    #[error("a stored payload: {0}")]
    Payload(#[from] SweepError),
    #[error("a scope: {0}")]
    Scope(#[from] ScopeError),
    /// One of several Redis servers is away: its tenants wait, the others had their turn.
    #[error("for some tenants: {error}")]
    Partly { step: Step, error: Box<DutyError> },
}

impl DutyError {
    /// What became of a step that did what it could, although this failed for some.
    pub(crate) fn partly(step: Step, failed: Option<Self>) -> Result<Step, Self> {
        failed.map_or(Ok(step), |error| Err(Self::Partly { step, error: Box::new(error) }))
    }
}

/// Regular work of the scheduler. Any number of replicas keep the same duties at the same time, so a step must do no
/// harm when another replica takes it, too, or when it is cut half-way and taken again.
pub trait Duty: Send + Sync + 'static {
    /// Names the duty in logs and metrics.
    const NAME: &'static str;

    /// From the end of one step to the start of the next.
    fn every(&self) -> Duration;

    /// Ends when the next step should be taken at once; cut at any moment.
    fn hurry(&mut self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// Does a bounded amount of work.
    fn step(&mut self) -> impl Future<Output = Result<Step, DutyError>> + Send;
}

/// Keeps `duty` until `stop`. Never returns before, and never fails: a step that fails or panics is logged, once for
/// each row of failures, and tried again with back-off.
pub async fn keep<D: Duty>(mut duty: D, stop: CancellationToken) {
    let mut failures: u32 = 0;
    // Since the duty last rested something failed for some.
    let mut partly = false;
    loop {
        let taken = timeout(STEP_LIMIT, AssertUnwindSafe(duty.step()).catch_unwind());
        let outcome = tokio::select! {
            outcome = taken => outcome,
            () = cut(&stop) => return,
        };
        let (done, error) = match outcome {
            Ok(Ok(Ok(done))) => (Some(done), None),
            Ok(Ok(Err(DutyError::Partly { step, error }))) => (Some(step), Some(chain(&*error))),
            Ok(Ok(Err(error))) => (None, Some(chain(&error))),
            Ok(Err(_panic)) => (None, Some("the step panicked".to_owned())),
            Err(_elapsed) => (None, Some(format!("the step took more than {} s", STEP_LIMIT.as_secs()))),
        };
        if let Some(error) = error {
            partly = true;
            failures += 1;
            metrics::counter!("postrider_scheduler_failures_total", "duty" => D::NAME).increment(1);
            if failures == 1 {
                tracing::warn!(duty = D::NAME, error, "a step failed; it is tried again until it succeeds");
            } else {
                tracing::debug!(duty = D::NAME, failures, error, "a step failed again");
            }
        }
        if done == Some(Step::Rest) && !std::mem::take(&mut partly) && failures > 0 {
            tracing::info!(duty = D::NAME, failures, "the duty is kept again");
            failures = 0;
        }
        let pause = match done {
            Some(Step::Rest) => duty.every(),
            Some(Step::More) => Duration::ZERO,
            None => RETRY.delay(failures),
        };
        tokio::select! {
            stopped = rest(pause, &stop) => if stopped { return },
            () = duty.hurry(), if done.is_some() => {}
        }
    }
}

/// Ends when the process stops and the step in progress had its time.
async fn cut(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(STOP_LIMIT).await;
}

/// Waits; true if it is time to stop.
async fn rest(pause: Duration, stop: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = stop.cancelled() => true,
        () = tokio::time::sleep(pause) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use super::*;

    /// Does what the script says, step by step, and then rests.
    struct Scripted {
        steps: Vec<fn() -> Result<Step, DutyError>>,
        taken: Arc<AtomicU32>,
    }

    impl Duty for Scripted {
        const NAME: &'static str = "scripted";

        fn every(&self) -> Duration {
            Duration::from_hours(1)
        }

        async fn step(&mut self) -> Result<Step, DutyError> {
            let number = self.taken.fetch_add(1, Ordering::SeqCst) as usize;
            self.steps.get(number).map_or(Ok(Step::Rest), |step| step())
        }
    }

    async fn run(steps: Vec<fn() -> Result<Step, DutyError>>, wanted: u32) {
        let taken = Arc::new(AtomicU32::new(0));
        let stop = CancellationToken::new();
        let kept = keep(Scripted { steps, taken: Arc::clone(&taken) }, stop.clone());
        let watch = async {
            while taken.load(Ordering::SeqCst) < wanted {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            stop.cancel();
        };
        tokio::join!(kept, watch);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_and_a_panicking_step_are_tried_again_long_before_the_next_time() {
        let began = tokio::time::Instant::now();
        run(vec![|| Err(DutyError::Queue(QueueError::Closed)), || panic!("a defect"), || Ok(Step::Rest)], 3).await;
        assert!(began.elapsed() < Duration::from_mins(1));
    }

    #[tokio::test(start_paused = true)]
    async fn more_work_is_done_at_once() {
        let began = tokio::time::Instant::now();
        run(vec![|| Ok(Step::More), || Ok(Step::More), || Ok(Step::Rest)], 3).await;
        assert!(began.elapsed() < Duration::from_secs(1));
    }

    /// Who waits for the others' server must not make them wait.
    #[tokio::test(start_paused = true)]
    async fn what_fails_for_some_delays_nobody_else() {
        fn partly() -> Result<Step, DutyError> {
            DutyError::partly(Step::More, Some(DutyError::Queue(QueueError::Closed)))
        }
        let began = tokio::time::Instant::now();
        run(vec![partly, partly, partly, partly, || Ok(Step::Rest)], 5).await;
        assert!(began.elapsed() < Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_hangs_is_cut_when_the_process_stops() {
        struct Hanging;
        impl Duty for Hanging {
            const NAME: &'static str = "hanging";
            fn every(&self) -> Duration {
                Duration::ZERO
            }
            async fn step(&mut self) -> Result<Step, DutyError> {
                std::future::pending().await
            }
        }
        let stop = CancellationToken::new();
        stop.cancel();
        let began = tokio::time::Instant::now();
        keep(Hanging, stop).await;
        assert!(began.elapsed() <= STOP_LIMIT + Duration::from_secs(1));
    }
}
