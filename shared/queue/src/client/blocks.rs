//! Ids of new jobs. Those that a process gives one after the other share a block, and their records a hash of their own
//! (`lua/lib/block.lua`): a drain at the head of a million waiting jobs finds them together in memory.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::id::JobId;

/// Ids of a block. So many records of some hundred bytes fit the caches of a processor; fewer would be more keys.
const IDS: u16 = 4096;

/// The block of each shard that is being filled.
#[derive(Debug)]
pub(crate) struct Blocks(Box<[AtomicU64]>);

impl Blocks {
    /// Of an installation with so many shards.
    pub(crate) fn open(shards: u16) -> Self {
        Self((0..shards).map(|_| AtomicU64::new(0)).collect())
    }

    /// The next id in a shard.
    pub(crate) fn next_id(&self, shard: u16) -> JobId {
        let Some(state) = self.0.get(usize::from(shard)) else {
            return JobId::random(shard);
        };
        // Half of it is the number of the block, half how many ids are left in it.
        let take = |state: u64| match state & u64::from(u32::MAX) {
            0 => (u64::from(rand::random::<u32>()) << 32) | u64::from(IDS - 1),
            _ => state - 1,
        };
        let mut seen = state.load(Ordering::Relaxed);
        loop {
            let next = take(seen);
            match state.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                // What is left tells ids of a process apart, the random part those of two that chose the same block.
                Ok(_) => {
                    let [b0, b1, b2, b3, _, _, n0, n1] = next.to_be_bytes();
                    let (block, number) = (u32::from_be_bytes([b0, b1, b2, b3]), u16::from_be_bytes([n0, n1]));
                    return JobId::in_block(shard, block, number, rand::random());
                }
                Err(newer) => seen = newer,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Blocks, IDS};

    #[test]
    fn ids_of_a_shard_share_blocks_and_are_all_different() {
        let blocks = Blocks::open(2);
        let mut of_block: BTreeMap<Vec<u8>, Vec<_>> = BTreeMap::new();
        for n in 0..4 * u32::from(IDS) {
            let id = blocks.next_id((n % 2) as u16);
            assert_eq!(id.shard(), (n % 2) as u16);
            of_block.entry(id.as_bytes()[..10].to_vec()).or_default().push(id);
        }
        assert_eq!(of_block.len(), 4);
        for ids in of_block.values_mut() {
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), usize::from(IDS));
        }
    }
}
