//! Figures of a queue.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::QueueName;

/// A queue at a glance, over all shards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueStats {
    /// The queue.
    pub name: QueueName,
    /// Jobs that wait for a worker (or for the limits of a scope, or for a paused tenant to be resumed).
    pub available: u64,
    /// Jobs that wait for a time.
    pub scheduled: u64,
    /// Failed jobs that wait for their next attempt.
    pub retryable: u64,
    /// Jobs that a worker holds.
    pub running: u64,
    /// Dead letters not yet archived.
    pub dead: u64,
    /// Completed jobs whose record is still kept.
    pub completed: u64,
    /// Lanes with jobs in them.
    pub lanes: u64,
    /// Lanes that wait for a scope.
    pub parked_lanes: u64,
    /// Of the available jobs, those that wait for their recipient beside their lane.
    pub stepped_aside: u64,
    /// How long the oldest available job has been waiting, looked for at the head of up to 256 lanes per shard. Jobs of paused tenants
    /// do not count.
    pub oldest_age: Option<Duration>,
    /// Whether workers take nothing from it.
    pub paused: bool,
    /// Shards that are not in these figures, because theirs of several servers does not answer.
    #[serde(default)]
    pub missing_shards: u16,
}
