//! Relaying whatever was not marked: tenant by tenant, so that none waits for what another one has waiting, and behind what cannot go
//! now, so that it holds up nothing of its own tenant's either. A server of the queue that is away is asked once in each round, for
//! one tenant of each of its shards.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures::{StreamExt, TryStreamExt, stream};
use postrider_queue::{QueueClient, QueueError};

use super::{
    Enqueue, OutboxEntry, Relay, Relayed,
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
    /// Shards that took nothing in this round.
    away: HashSet<u16>,
}

/// What a step did.
#[derive(Debug, Default)]
pub struct Swept {
    pub relayed: Relayed,
    /// Tenants were left over, or entries of one from whom all was taken.
    pub more: bool,
    /// Why some could not go now; the next step goes on behind them.
    pub put_off: Option<QueueError>,
}

impl<Q: Enqueue> Sweep<Q> {
    pub fn new(outbox: Outbox, queue: Q, share: u64) -> Self {
        let relay = Relay::new(outbox.clone(), queue);
        Self { outbox, relay, share, after: None, places: HashMap::new(), away: HashSet::new() }
    }

    /// Gives the next tenants their turn.
    pub async fn step(&mut self) -> Result<Swept, StoreError> {
        if self.after.is_none() {
            self.away.clear();
        }
        let mut turns = Vec::with_capacity(TENANTS);
        for _ in 0..TENANTS {
            self.after = self.outbox.next_tenant(AllTenants, self.after).await?;
            let Some(tenant) = self.after else { break };
            let shard = self.relay.shard_of(tenant);
            if !self.away.contains(&shard) {
                let (entries, was_all) = self.turn(tenant).await?;
                turns.push((shard, entries, was_all));
            }
        }
        let mut swept = Swept { more: self.after.is_some(), ..Swept::default() };
        let away = Mutex::new(std::mem::take(&mut self.away));
        let (relay, away_now) = (&self.relay, &away);
        let mut brought = stream::iter(turns)
            .map(|(shard, entries, was_all)| async move {
                if lock(away_now).contains(&shard) {
                    return Ok((Brought::default(), was_all));
                }
                let brought = relay.bring(entries).await?;
                if brought.put_off.as_ref().is_some_and(|error| !matches!(error, QueueError::TooDeep { .. })) {
                    lock(away_now).insert(shard);
                }
                Ok::<_, StoreError>((brought, was_all))
            })
            .buffer_unordered(TOGETHER);
        while let Some((Brought { relayed, put_off }, was_all)) = brought.try_next().await? {
            swept.relayed.enqueued += relayed.enqueued;
            swept.relayed.refused += relayed.refused;
            swept.more |= !was_all && relayed != Relayed::default();
            swept.put_off = swept.put_off.or(put_off);
        }
        drop(brought);
        self.away = away.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(swept)
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

fn lock(shards: &Mutex<HashSet<u16>>) -> MutexGuard<'_, HashSet<u16>> {
    shards.lock().unwrap_or_else(PoisonError::into_inner)
}
