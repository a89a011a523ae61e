//! The scheduler: starts what is due by time and carries what would otherwise be left lying.
//!
//! One duty per file, each kept by its own loop ([`duty::keep`]). Any number of replicas may run. None is the leader:
//! whatever a duty starts has an identity that all replicas derive alike (an occurrence's row, an outbox entry's job id, a
//! dead letter's number), so two replicas doing the same step do it once.

pub mod archiver;
pub mod drafts;
pub mod duty;
pub mod expirer;
pub mod feeder;
pub mod key_sets;
mod pauses;
pub mod pruner;
pub mod relay;
pub mod resolver;
pub mod roster;
pub mod sweeper;
pub mod ticker;
pub mod timekeeper;
pub mod timetable;
