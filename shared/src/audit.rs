//! Who changed or saw what, for good: rows that are only ever added.
//!
//! What a request changes is recorded in the transaction that changes it, so that neither can be there without the other. For that a
//! request runs [`within`] a [`Recorder`], and the first [`commit`](crate::database::Transaction::commit) of the request writes its row.
//! Stores say which rows they are about to change ([`Transaction::watch`](crate::database::Transaction::watch)), and the columns that
//! differ at the commit are kept as they were and as they are, without secrets. Nothing of this happens outside a request: what workers
//! and schedulers do of themselves is in the histories of jobs, quotes and accounts.

mod recorder;
mod row;
mod store;
mod watched;

use crate::words::words;

pub use recorder::{AuditedRequest, Recorder, within};
pub(crate) use recorder::{current, record};
pub use row::Model as AuditEvent;
pub use store::{AuditEvents, AuditFilter};
pub(crate) use watched::{Watch, Watched};

words! {
    /// What somebody did, in the large.
    "kind of audit event"
    enum AuditKind {
        /// Something is different now.
        Change = "change",
        /// Somebody saw data of persons.
        Access = "access",
    }
}

words! {
    /// What is known of how it ended.
    "outcome"
    enum AuditOutcome {
        /// It was done: a change was committed together with its event, what was asked for was handed out.
        Done = "done",
        /// It takes place outside the database, so the event was written before it was begun.
        Attempted = "attempted",
    }
}
