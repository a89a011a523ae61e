//! Which worker process watches which mailbox over an IDLE connection, and which mailboxes are left alone for a while.
//!
//! A watcher is one worker process. It beats: raises a number in its row. Others that have seen the same number for some
//! seconds, by their own monotonic clocks, take it for dead and remove exactly the row they saw, with all of its leases. No
//! clock is ever compared with another machine's, and a process that only stood still finds its row gone.

mod connection;
mod lease;
mod setback;
mod share;
mod store;
mod watcher;

pub use connection::Opener;
pub use setback::Way;
pub use share::share;
pub use store::{Held, Watches};
pub use watcher::Model as Watcher;
