//! Looking once for many who ask at the same moment.

use std::future::Future;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// What was found last, and since when that was looked for.
pub struct Together<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for Together<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Together<T> {
    /// Looks, or waits for somebody who does. No two look at the same time, and what is found is never older than the question.
    pub async fn look<F: Future<Output = T>>(&self, look: impl FnOnce() -> F) -> T {
        let asked = Instant::now();
        let mut last = self.0.lock().await;
        if let Some((began, found)) = &*last
            && *began >= asked
        {
            return found.clone();
        }
        let began = Instant::now();
        let found = look().await;
        *last = Some((began, found.clone()));
        found
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_asks_during_a_look_shares_the_next_one() {
        let (together, looks) = (Together::default(), AtomicUsize::new(0));
        let ask = || {
            together.look(|| async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                looks.fetch_add(1, Ordering::Relaxed) + 1
            })
        };
        let later = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            futures::future::join_all((0..100).map(|_| ask())).await
        };
        let (first, others) = tokio::join!(ask(), later);
        assert_eq!((first, others), (1, vec![2; 100]));
        assert_eq!(ask().await, 3, "nobody is told what was before the question");
        // Who goes away while looking keeps nobody from it.
        assert!(tokio::time::timeout(Duration::from_millis(1), ask()).await.is_err());
        assert_eq!(ask().await, 4);
    }
}
