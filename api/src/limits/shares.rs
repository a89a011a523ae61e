//! How many requests of one tenant a process works on at a time: the other places are for everybody else.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use postrider_shared::ids::TenantId;

/// Who has how many under way.
pub(super) struct Shares {
    most: usize,
    taken: Mutex<HashMap<TenantId, usize>>,
}

/// One request's; given back when it is dropped.
pub(super) struct Share<'a> {
    shares: &'a Shares,
    tenant: TenantId,
}

impl Shares {
    /// Half of what the process works on is for one tenant.
    pub(super) fn of(requests_in_flight: usize) -> Self {
        Self { most: (requests_in_flight / 2).max(1), taken: Mutex::default() }
    }

    /// One more of this tenant's; none if it has as many as one may have.
    pub(super) fn take(&self, tenant: TenantId) -> Option<Share<'_>> {
        let mut taken = self.lock();
        let own = taken.entry(tenant).or_default();
        if *own >= self.most {
            return None;
        }
        *own += 1;
        Some(Share { shares: self, tenant })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut taken = self.shares.lock();
        let Some(own) = taken.get_mut(&self.tenant) else { return };
        *own = own.saturating_sub(1);
        if *own == 0 {
            taken.remove(&self.tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_half_of_the_places_and_gives_them_back() {
        let (one, other) = (TenantId::derived(&["one"]), TenantId::derived(&["other"]));
        let shares = Shares::of(5);
        let first = shares.take(one).unwrap();
        let second = shares.take(one).unwrap();
        assert!(shares.take(one).is_none());
        let theirs = shares.take(other).unwrap();
        drop(first);
        let third = shares.take(one).unwrap();
        assert!(shares.take(one).is_none());
        drop((second, third, theirs));
        assert!(shares.lock().is_empty(), "nothing is remembered of who has left");
        assert!(Shares::of(1).take(one).is_some(), "a process that works on one request works for anybody");
    }
}
