//! Jobs that wait in the database to be brought to the queue.
//!
//! Database and queue cannot commit together. So the transaction that changes rows also appends the jobs that follow from the change;
//! the [`Relay`] enqueues them under ids derived from their entries (created if absent) and then marks them. It runs right after the
//! commit, for speed, and in a [`Sweep`], for whatever was not marked: a crash anywhere in between repeats an enqueue and loses
//! nothing.

mod relay;
mod row;
mod store;
mod sweep;

pub use relay::{Enqueue, Relay, RelayError, Relayed};
pub use row::Model as OutboxEntry;
pub(crate) use row::{ActiveModel, Column, Entity};
pub use store::Outbox;
pub(crate) use store::{append, enqueue};
pub use sweep::{Sweep, Swept};
