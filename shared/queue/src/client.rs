//! The queue as callers see it.

use std::{sync::Arc, time::Duration};

use sha2::{Digest, Sha256};
use tokio_util::task::TaskTracker;

use crate::{
    config::QueueConfig, error::QueueError, hub::Hub, id::JobId, link::Link, name::Tenant, rates::Desks, script,
    settings,
};

mod admission;
mod batches;
mod blocks;
mod bulk;
mod coalesced_reads;
mod control;
mod enqueue;
mod lanes;
mod load;
mod logs;
mod maintenance;
mod moving;
mod reading;
mod recent;
mod restoring;
mod scopes;
mod servers;
mod sifting;
mod tenants;
mod upkeep;

pub use admission::DepthLimits;
pub(crate) use maintenance::Maintenance;
pub use maintenance::Upkeep;
pub use moving::{Moved, Unfinished};
pub use servers::ServerState;
pub use sifting::Walk;
pub use tenants::{ForgetPlace, Forgotten};
pub(crate) use upkeep::SESSION_TTL;
pub use upkeep::Ticked;

/// How often a server that loads its data is asked whether it is ready.
const ASK_EVERY: Duration = Duration::from_millis(250);
/// How often it is said that it is waited for, in questions: every 10 s.
const SAY_EVERY: u32 = 40;

/// A connection to the queue. Clones share it.
#[derive(Debug, Clone)]
pub struct QueueClient(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    link: Link,
    blocks: blocks::Blocks,
    hub: Hub,
    shards: u16,
    memory_percent: u8,
    enqueuers: Arc<enqueue::Enqueuers>,
    readers: Arc<coalesced_reads::Readers>,
    desks: Arc<Desks>,
    tasks: TaskTracker,
}

impl QueueClient {
    /// Connects and checks that this Redis can keep a promise: no eviction, a memory limit, an append-only file; same
    /// protocol version and number of shards. Must be called in a tokio runtime.
    pub async fn connect(config: QueueConfig) -> Result<Self, QueueError> {
        if !(1..=1024).contains(&config.shards) {
            return Err(QueueError::invalid("number of shards", "expected 1 to 1024"));
        }
        if !(1..=100).contains(&config.memory_percent) {
            return Err(QueueError::invalid("percent of memory", "expected 1 to 100"));
        }
        let link = Link::open(&config).await?;
        settings::check(&link, &config).await?;
        let tasks = TaskTracker::new();
        link.look_for_absent(&config, &tasks);
        link.follow_masters(&tasks);
        let hub = Hub::start(&link, &tasks);
        let enqueuers = enqueue::Enqueuers::start(&link, config.shards, &tasks);
        let readers = coalesced_reads::Readers::open(&link, config.shards, &tasks);
        let desks = Desks::open(&link, config.shards, &tasks);
        let QueueConfig { shards, memory_percent, .. } = config;
        let blocks = blocks::Blocks::open(shards);
        Ok(Self(Arc::new(Shared { link, blocks, hub, shards, memory_percent, enqueuers, readers, desks, tasks })))
    }

    /// The same, and as long as Redis says that it is loading its data, this waits: a large log takes minutes.
    pub async fn connect_when_loaded(config: QueueConfig) -> Result<Self, QueueError> {
        let mut asked: u32 = 0;
        loop {
            match Self::connect(config.clone()).await {
                Err(error) if error.is_loading() => {
                    if asked.is_multiple_of(SAY_EVERY) {
                        tracing::warn!(%error, "waiting for Redis");
                    }
                    asked += 1;
                    tokio::time::sleep(ASK_EVERY).await;
                }
                answer => return answer,
            }
        }
    }

    /// Number of shards.
    pub fn shards(&self) -> u16 {
        self.0.shards
    }

    /// The shard of a tenant.
    pub fn shard_of(&self, tenant: &Tenant) -> u16 {
        let hash = Sha256::digest(tenant.as_str().as_bytes());
        let number = u16::from_be_bytes([hash[0], hash[1]]);
        number % self.0.shards
    }

    /// A new random id for a job of this tenant.
    pub fn job_id(&self, tenant: &Tenant) -> JobId {
        self.new_id(self.shard_of(tenant))
    }

    /// One of a block, if all processes find those there.
    fn new_id(&self, shard: u16) -> JobId {
        if self.0.link.protocol() >= script::BLOCKS { self.0.blocks.next_id(shard) } else { JobId::random(shard) }
    }

    /// Raises the data to the newest protocol: new jobs of processes that start from now on may stand where those of the
    /// version before this one do not find them. Those must have ended; they are refused from now on. Data that began with this
    /// version is of its protocol already. Returns whether this changed anything.
    pub async fn raise_protocol(&self) -> Result<bool, QueueError> {
        settings::raise(&self.0.link, self.0.shards).await
    }

    /// The id that follows from these parts, for a job of this tenant. The tenant itself is one of the parts.
    pub fn derived_job_id(&self, tenant: &Tenant, parts: &[&str]) -> JobId {
        let mut all = vec![tenant.as_str()];
        all.extend_from_slice(parts);
        JobId::derived(self.shard_of(tenant), &all)
    }

    pub(crate) fn link(&self) -> &Link {
        &self.0.link
    }

    pub(crate) fn desks(&self) -> &Arc<Desks> {
        &self.0.desks
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.0.hub
    }

    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }
}
