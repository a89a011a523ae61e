//! The first answer to each `Idempotency-Key`, for every POST but the ones that enqueue jobs, which the queue itself remembers.
//!
//! A request *begins*: its row holds the key, so that a second one that comes meanwhile is told to wait. It *finishes* with the answer
//! to repeat, or is *abandoned* (the work failed for a moment, a repeat may try again). A process that ended in between holds a key
//! for a minute.

mod row;
mod store;

pub(crate) use row::{ActiveModel, Column, Entity, Model as Request};
pub use store::{Begun, Requests, StoredAnswer, Ticket};
