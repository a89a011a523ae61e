//! How deep queues may become.

use super::QueueClient;
use crate::{error::QueueError, link::Args, name::QueueName, script};

/// Most queues that may have a limit of their own.
const MAX_QUEUES: usize = 256;

/// How many jobs may wait (available, scheduled or for a retry) in each queue of a shard. As a tenant lives in one shard, no
/// tenant ever has more waiting in a queue.
///
/// The script that enqueues counts and decides, so concurrent callers cannot exceed a limit together. What jobs bring with
/// them, retries and follow-ups, always comes in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DepthLimits {
    /// For every queue that is not named; `None` is no limit.
    pub every: Option<u64>,
    /// By queue.
    pub queues: Vec<(QueueName, u64)>,
}

impl DepthLimits {
    /// No limit anywhere.
    pub const NONE: Self = Self { every: None, queues: Vec::new() };
}

impl QueueClient {
    /// Sets the limits of all queues in all shards, in place of those before. They hold at once, for all processes, and are
    /// kept in Redis.
    pub async fn limit_depth(&self, limits: &DepthLimits) -> Result<(), QueueError> {
        if limits.queues.len() > MAX_QUEUES {
            return Err(QueueError::invalid("depth limits", format!("at most {MAX_QUEUES} queues")));
        }
        let mut args: Args = vec![limits.every.map_or_else(Vec::new, |limit| limit.to_string().into_bytes())];
        for (queue, limit) in &limits.queues {
            args.push(queue.as_str().into());
            args.push(limit.to_string().into_bytes());
        }
        self.on_all_shards(&script::LIMIT_DEPTH, &args).await?;
        Ok(())
    }
}
