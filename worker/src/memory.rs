//! A shared bound on the memory that large mails take up at the same time.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const MEGABYTE: u64 = 1024 * 1024;

/// Megabytes that jobs reserve before they fetch something large. Waiting for them is short: it ends with a fetch, or when a mail's
/// files are read.
#[derive(Debug, Clone)]
pub struct Memory {
    megabytes: u32,
    free: Arc<Semaphore>,
}

impl Memory {
    pub fn new(megabytes: u32) -> Self {
        Self { megabytes, free: Arc::new(Semaphore::new(megabytes as usize)) }
    }

    /// Reserves until the permit is dropped. A wish for more than there is gets all there is.
    pub async fn reserve(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let wanted = u32::try_from(bytes.div_ceil(MEGABYTE)).unwrap_or(u32::MAX).clamp(1, self.megabytes);
        Arc::clone(&self.free).acquire_many_owned(wanted).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::Memory;

    #[tokio::test]
    async fn what_is_reserved_is_not_given_twice() {
        let memory = Memory::new(10);
        let all = memory.reserve(u64::MAX).await;
        assert!(memory.reserve(1).now_or_never().is_none());
        drop(all);
        let one = memory.reserve(1).await;
        assert!(memory.reserve(9 * 1024 * 1024).now_or_never().is_some());
        drop(one);
    }
}
