//! Jobs that failed for good, kept for a person, who redrives or discards them.
//!
//! A dead letter has one owner at a time: Redis until its row is committed, then the row. A redrive is a compare-and-set on the row
//! (`dead → redriving → redriven`) and an enqueue under an id derived from the death, so it happens once, whatever crashes.

mod archive;
mod bringing;
mod bulk;
mod edit;
mod filter;
mod group;
mod history;
mod origin;
mod redrive;
mod row;
mod store;
mod subject;

pub use bulk::{BulkStep, Place, STEP};
pub use edit::{Edit, Unfit, fitting, patched};
pub use filter::{DeadLetterFilter, DeadLetterGroup};
pub use redrive::{Redriven, Redriver};
pub use row::Model as DeadLetter;
pub(crate) use row::{ActiveModel, Column, Entity};
pub use store::{BegunRedrive, DeadLetters};

use crate::words::words;

words! {
    /// Where a dead letter is.
    "dead letter state"
    enum DeadLetterState {
        /// It waits for a person.
        Dead = "dead",
        /// Its job is being enqueued again.
        Redriving = "redriving",
        /// Its job was enqueued again.
        Redriven = "redriven",
        /// Nobody wants it.
        Discarded = "discarded",
    }
}
