//! Waiting for a condition, with a deadline. Where the product offers a wait (`?wait=`, SSE, the sandbox's long-poll), use that.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long anything in a test may take unless it says otherwise; generous, because four tests share two cores in CI. It is half of
/// what a whole test may take, so that what was missing is named.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Repeats `look` until it finds something, and returns it.
///
/// # Panics
/// When `DEADLINE` has passed; the message names `what` was missing.
#[track_caller]
pub fn eventually<T, F>(what: &str, look: impl FnMut() -> F) -> impl Future<Output = T>
where
    F: Future<Output = Option<T>>,
{
    within(DEADLINE, what, look)
}

/// [`eventually`] with a deadline of its own.
pub async fn within<T, F>(deadline: Duration, what: &str, look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let Some(found) = poll_until(deadline, look).await else {
        panic!("waited {deadline:?} in vain for: {what}");
    };
    found
}

/// Repeats `look` until it finds something, or until the deadline has passed.
pub async fn poll_until<T, F>(deadline: Duration, mut look: impl FnMut() -> F) -> Option<T>
where
    F: Future<Output = Option<T>>,
{
    let end = Instant::now() + deadline;
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(found) = look().await {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
