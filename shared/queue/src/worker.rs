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
    /// Whether it takes suspects too, one at a time; default no. See [`take_suspects`](Self::take_suspects).
    pub suspects: bool,
}

impl WorkerConfig {
    /// Serves these queues with the default session.
    pub fn new(queues: Vec<QueueName>, concurrency: usize) -> Self {
        Self { queues, concurrency, session_ttl: SESSION_TTL, suspects: false }
    }

    /// Takes suspects, too: jobs whose process crashed twice while they ran ([`Claimed::is_suspect`]). They are handed out like
    /// any other job, one at a time and beside the concurrency, and the handler must run them where a crash takes nobody
    /// along: in a child process. If the child dies, the handler ends with [`Stop::Fail`]; nothing else ever buries a suspect,
    /// because the death of a process that nobody watched says nothing about one of its jobs.
    ///
    /// At least one worker of each queue should: suspects wait until one does.
    ///
    /// [`Claimed::is_suspect`]: crate::Claimed::is_suspect
    /// [`Stop::Fail`]: crate::Stop::Fail
    #[must_use]
    pub fn take_suspects(mut self) -> Self {
        self.suspects = true;
        self
    }

    /// With another time to live.
    #[must_use]
    pub fn session_ttl(mut self, ttl: Duration) -> Self {
        self.session_ttl = ttl;
        self
    }
}
