//! Relaying whatever was not marked: tenant by tenant, so that none waits for what another one has waiting, and behind what cannot go
//! now, so that it holds up nothing of its own tenant's either.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt, stream};
use postrider_queue::QueueClient;

use super::{
    Enqueue, OutboxEntry, Relay, RelayError, Relayed,
    relay::Brought,
    store::{Outbox, Place},
};
use crate::{
    database::{AllTenants, StoreError},
    ids::TenantId,
};

/// Tenants per step, and how many of them at a time.
const TENANTS: usize = 32;
const TOGETHER: usize = 8;

/// Brings what waits to the queue, in bounded steps.
pub struct Sweep<Q = QueueClient> {
    outbox: Outbox,
    relay: Relay<Q>,
    /// Entries of a tenant per step.
    share: u64,
    /// The tenant that had its turn last.
    after: Option<TenantId>,
    /// Where tenants go on who have more waiting behind what could not go.
    places: HashMap<TenantId, Place>,
}

/// What a step did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    pub relayed: Relayed,
    /// Tenants were left over, or entries of one from whom all was taken.
    pub more: bool,
}

impl<Q: Enqueue> Sweep<Q> {
    pub fn new(outbox: Outbox, queue: Q, share: u64) -> Self {
        let relay = Relay::new(outbox.clone(), queue);
        Self { outbox, relay, share, after: None, places: HashMap::new() }
    }

    /// Gives the next tenants their turn. Fails if nothing could go; the next step goes on behind it all the same.
    pub async fn step(&mut self) -> Result<Swept, RelayError> {
        let mut turns = Vec::with_capacity(TENANTS);
        while turns.len() < TENANTS {
            self.after = self.outbox.next_tenant(AllTenants, self.after).await?;
            let Some(tenant) = self.after else { break };
            turns.push(self.turn(tenant).await?);
        }
        let mut swept = Swept { more: self.after.is_some(), ..Swept::default() };
        let mut stopped = None;
        let relay = &self.relay;
        let mut brought = stream::iter(
            turns
                .into_iter()
                .map(|(entries, was_all)| async move { Ok::<_, StoreError>((relay.bring(entries).await?, was_all)) }),
        )
        .buffer_unordered(TOGETHER);
        while let Some((Brought { relayed, put_off }, was_all)) = brought.try_next().await? {
            swept.relayed.enqueued += relayed.enqueued;
            swept.relayed.refused += relayed.refused;
            swept.more |= !was_all && relayed != Relayed::default();
            stopped = stopped.or(put_off);
        }
        match stopped {
            Some(error) if swept.relayed == Relayed::default() => Err(error.into()),
            _ => Ok(swept),
        }
    }

    /// A tenant's next entries, and whether no others are behind them.
    async fn turn(&mut self, tenant: TenantId) -> Result<(Vec<OutboxEntry>, bool), StoreError> {
        let place = self.places.remove(&tenant);
        let entries = self.outbox.waiting_for(tenant, place, self.share).await?;
        let was_all = (entries.len() as u64) < self.share;
        if !was_all && let Some(last) = entries.last() {
            self.places.insert(tenant, last.place());
        }
        Ok((entries, was_all))
    }
}
