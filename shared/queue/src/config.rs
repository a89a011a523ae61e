//! How to reach the queue.

/// How a process reaches the queue.
#[derive(Debug, Clone)]
pub struct QueueConfig {
    /// `redis://[user:password@]host:port/db`, or `rediss://` for TLS.
    pub redis_url: String,
    /// Shards of the installation, 1 to 1,024; fixed for the life of the data and checked at start.
    pub shards: u16,
}

impl QueueConfig {
    /// The default number of shards.
    pub const DEFAULT_SHARDS: u16 = 16;

    /// The queue in this Redis, with the default number of shards.
    pub fn new(redis_url: impl Into<String>) -> Self {
        Self { redis_url: redis_url.into(), shards: Self::DEFAULT_SHARDS }
    }

    /// With another number of shards.
    #[must_use]
    pub fn shards(mut self, shards: u16) -> Self {
        self.shards = shards;
        self
    }
}
