//! Waiting for an event, with a deadline.

use std::time::Duration;

/// How long anything may take: long, because machines that run tests are slow and busy.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Repeats `look` until it finds something.
///
/// # Panics
/// When it has not by the [`DEADLINE`], also because a look hangs; the message says `what` was missing.
pub async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let found = tokio::time::timeout(DEADLINE, looking).await;
    found.unwrap_or_else(|_| panic!("waited {DEADLINE:?} in vain: {what}"))
}
