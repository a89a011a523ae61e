//! The first answer to each `Idempotency-Key`, for every POST but the ones that enqueue jobs, which the queue itself remembers.
//!
//! A request *begins*: its row holds the key, so that a second one that comes meanwhile is told to wait. It *finishes* with the answer
//! to repeat, or is *abandoned* (the work failed for a moment, a repeat may try again). The holder has a lease, which it renews while
//! it works; one whose process ended holds the key no longer than that, and a repeat carries on. What the request changes in the
//! database is committed only under the lease, and is noted in the request's row by the same transaction: see [`holding()`].

mod holding;
mod row;
mod store;

pub use holding::holding;
pub(crate) use holding::{aside, commit};

pub(crate) use row::{ActiveModel, Column, Entity, Model as Request};
pub use store::{Begun, LEASE, Requests, StoredAnswer, Ticket};
