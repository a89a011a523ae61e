//! Payloads too large for the queue. They lie in the object store, and the queue carries a [`PayloadReference`] in their place.
//!
//! A file is written before its job is enqueued, and its row before the file: so whatever a crash leaves behind has a row, and the
//! scheduler's sweep removes every file whose job is forgotten. All processes must see the same object store; a folder must be on
//! a volume that they share.

mod reference;
mod row;
mod store;
mod sweep;

pub use reference::PayloadReference;
pub use row::Model as StoredPayload;
pub(crate) use row::{ActiveModel, Column, Entity};
pub use store::{PayloadStoreError, Payloads, resolve};
pub use sweep::{PayloadSweep, SweepError, Swept};
