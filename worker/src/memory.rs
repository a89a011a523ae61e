//! A shared bound on the memory that large mails take up at the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use postrider_shared::ids::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const MEGABYTE: u64 = 1024 * 1024;
/// Of all there is, the part that one tenant may have: its mail servers may be as slow as they like.
const SHARES: u32 = 4;
/// Tenants above which those that have nothing are forgotten.
const MANY: usize = 1_000;

/// Megabytes that jobs reserve before they fetch something large. Waiting for them ends with a fetch, or when a mail's files are read;
/// who waits for what its own tenant has keeps back no other's.
#[derive(Debug, Clone)]
pub struct Memory {
    share: u32,
    free: Arc<Semaphore>,
    shares: Arc<Mutex<HashMap<TenantId, Weak<Semaphore>>>>,
}

/// Memory that is reserved until this is dropped.
#[derive(Debug)]
pub struct Reserved {
    _share: OwnedSemaphorePermit,
    _free: OwnedSemaphorePermit,
}

impl Memory {
    pub fn new(megabytes: u32) -> Self {
        let share = (megabytes / SHARES).max(1);
        Self { share, free: Arc::new(Semaphore::new(megabytes as usize)), shares: Arc::default() }
    }

    /// Reserves until the answer is dropped. A wish for more than a tenant's share gets all of it.
    pub async fn reserve(&self, tenant: TenantId, bytes: u64) -> Option<Reserved> {
        let wanted = u32::try_from(bytes.div_ceil(MEGABYTE)).unwrap_or(u32::MAX).clamp(1, self.share);
        let own = self.share_of(tenant).acquire_many_owned(wanted).await.ok()?;
        let free = Arc::clone(&self.free).acquire_many_owned(wanted).await.ok()?;
        Some(Reserved { _share: own, _free: free })
    }

    fn share_of(&self, tenant: TenantId) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(&tenant).and_then(Weak::upgrade) {
            return share;
        }
        if shares.len() >= MANY {
            shares.retain(|_, share| share.strong_count() > 0);
        }
        let share = Arc::new(Semaphore::new(self.share as usize));
        shares.insert(tenant, Arc::downgrade(&share));
        share
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use postrider_shared::ids::TenantId;

    use super::{MEGABYTE, Memory};

    #[tokio::test]
    async fn what_is_reserved_is_not_given_twice() {
        let (memory, tenant) = (Memory::new(40), TenantId::random());
        let all = memory.reserve(tenant, u64::MAX).await;
        assert!(memory.reserve(tenant, 1).now_or_never().is_none());
        drop(all);
        let one = memory.reserve(tenant, 1).await;
        assert!(memory.reserve(tenant, 9 * MEGABYTE).now_or_never().is_some());
        drop(one);
    }

    #[tokio::test]
    async fn a_tenant_that_waits_for_its_own_slow_servers_keeps_back_no_other() {
        let (memory, slow) = (Memory::new(256), TenantId::random());
        let mut fetches: Vec<_> = (0..20).map(|_| Box::pin(memory.reserve(slow, 50 * MEGABYTE))).collect();
        let reserved: Vec<_> = fetches.iter_mut().filter_map(FutureExt::now_or_never).collect();
        assert_eq!(reserved.len(), 1);
        let others: Vec<_> =
            (0..3).filter_map(|_| memory.reserve(TenantId::random(), 50 * MEGABYTE).now_or_never()).collect();
        assert_eq!(others.len(), 3);
        drop(reserved);
    }
}
