//! The tokens that this process holds in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use postrider_shared::ids::{AccountId, TenantId};

use super::AccessToken;

/// Slots above which those that nobody uses at the moment are given up.
const MANY: usize = 20_000;

/// One account's token; locked by whoever looks for it.
pub(super) type Slot = Arc<tokio::sync::Mutex<Option<AccessToken>>>;

/// One slot per account.
#[derive(Default)]
pub(super) struct Held(Mutex<HashMap<(TenantId, AccountId), Slot>>);

impl Held {
    pub(super) fn slot(&self, tenant: TenantId, account: AccountId) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MANY {
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(slots.entry((tenant, account)).or_default())
    }
}
