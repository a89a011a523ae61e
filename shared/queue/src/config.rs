//! How to reach the queue.

/// How a process reaches the queue.
#[derive(Debug, Clone)]
pub struct QueueConfig {
    /// `redis://[user:password@]host:port/db`, or `rediss://` for TLS; several of them separated by commas, over which the
    /// shards are spread; `redis+sentinel://[user:password@]host:port,…/master[/db]` for whoever is the master under this
    /// name; or `redis+cluster://[user:password@]host:port,…` for a Redis Cluster. A user of limited rights needs the keys `~{pr:*`
    /// and the channels `&pr:*`.
    pub redis_url: String,
    /// Shards of the installation, 1 to 1,024; fixed for the life of the data and checked at start.
    pub shards: u16,
    /// Replicas that must have confirmed a job before an enqueue returns; default 0, the master's own log is enough.
    pub replicas: u32,
    /// Percent of a server's `maxmemory` above which it takes no new jobs; default 80. The same in all processes: whoever
    /// does the maintenance watches for everybody.
    pub memory_percent: u8,
}

impl QueueConfig {
    /// The default number of shards.
    pub const DEFAULT_SHARDS: u16 = 16;

    /// The queue in this Redis, with the default number of shards.
    pub fn new(redis_url: impl Into<String>) -> Self {
        Self { redis_url: redis_url.into(), shards: Self::DEFAULT_SHARDS, replicas: 0, memory_percent: 80 }
    }

    /// With another number of shards.
    #[must_use]
    pub fn shards(mut self, shards: u16) -> Self {
        self.shards = shards;
        self
    }

    /// With replicas that must confirm each enqueue. The masters need `min-replicas-to-write` of as many.
    #[must_use]
    pub fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    /// With another part of memory in use from which no new jobs are taken; 100 leaves the refusing to Redis.
    #[must_use]
    pub fn memory_percent(mut self, percent: u8) -> Self {
        self.memory_percent = percent;
        self
    }
}
