//! How a worker process takes jobs.

use std::time::Duration;

use crate::{client::SESSION_TTL, name::QueueName};

/// How a worker process takes jobs.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// The queues it serves; at least one.
    pub queues: Vec<QueueName>,
    /// Jobs it holds at the same time, at most.
    pub concurrency: usize,
    /// How long its session lives without a sign of life; default 6 s. A heartbeat is sent four times in it.
    pub session_ttl: Duration,
}

impl WorkerConfig {
    /// Serves these queues with the default session.
    pub fn new(queues: Vec<QueueName>, concurrency: usize) -> Self {
        Self { queues, concurrency, session_ttl: SESSION_TTL }
    }

    /// With another time to live.
    #[must_use]
    pub fn session_ttl(mut self, ttl: Duration) -> Self {
        self.session_ttl = ttl;
        self
    }
}
