//! Who changed or saw what: rows that are only ever added, and [removed](AuditEvents::expire) when they are old.
//!
//! What a request changes is recorded in the transaction that changes it, so that neither can be there without the other. For that a
//! request runs [`within`] a [`Recorder`], and the first [`commit`](crate::database::Transaction::commit) of the request writes its row.
//! Stores say which rows they are about to change ([`Transaction::watch`](crate::database::Transaction::watch)), and the columns that
//! differ at the commit are kept as they were and as they are, without secrets. Nothing of this happens outside a request: what workers
//! and schedulers do of themselves is in the histories of jobs, quotes and accounts.

mod event;
mod expiry;
mod recorder;
mod row;
mod store;
mod watched;

use crate::words::words;

pub use event::{AuditActor, AuditedRequest, Happened};
pub use expiry::SHORTEST_RETENTION;
pub use recorder::{Recorder, carried, claims_to_be, turns_out_to_be, within};
pub(crate) use recorder::{Said, current, record};
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
        /// Somebody signed in, tried to, or asked for what leads there.
        SignIn = "sign_in",
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
        /// It was not done: whoever asked may not, or did not prove who they are.
        Refused = "refused",
    }
}
