//! The send ledger: what was sent, what was not, and what nobody knows.
//!
//! A job may run twice; a customer must not get two mails. So every outgoing message has one row, and a handler sends only under an
//! *attempt* that it opened in this row. The attempt's number is the fence: it rises with every opening, and every later call names it.
//!
//! ```text
//! planned → sending → accepted
//!    ↓         ├────→ failed
//! skipped      └────→ unknown → accepted | failed | unknown_final
//! ```
//! States only move forward, but for two that go back to `sending`: a message whose job became a dead letter, which is `failed`, too,
//! by a redrive of the job; and one that is `unknown` but may have its draft still, by a run that looks. Within `sending`, three
//! facts tell what a crash leaves behind:
//! * no attempt is open (`attempt_started_at` empty): the server said "not now"; the next attempt may send;
//! * an attempt is open, its data did not start: nothing can have arrived, and nothing will, because
//!   [`data_starting`](Messages::data_starting) refuses an attempt that was overtaken; the next attempt may send;
//! * its data started: the server may have taken the message. A later attempt makes it `unknown` and sends nothing.
//!
//! Providers that keep drafts ([`begin_drafting`](Messages::begin_drafting)) leave less doubt. The first draft whose id is stored
//! in the row is the only one ever sent, and a provider sends a draft once: so a later attempt may send it again. Whoever does opens
//! an attempt like any other, in a job that reserved its unit of the cap.

mod attempt;
mod burial;
mod circles;
mod drafts;
mod list;
mod plan;
mod row;
mod settle;
mod store;

pub use attempt::{BeginSending, Fence};
pub(crate) use burial::{OpenAttempt, abandon, bury, revive};
pub(crate) use circles::refused;
pub use circles::{MOST_IN_A_THREAD, MOST_TO_ONE, WINDOW};
pub use drafts::{DOUBT_ENDS, Draft};
pub use list::MessageFilter;
pub use plan::PlannedMessage;
pub(crate) use plan::plan;
pub use row::Model as Message;
pub(crate) use row::{ActiveModel, Column, Entity};
pub use settle::Verdict;
pub(crate) use store::find_all;
pub use store::{Messages, Slot};

use crate::words::words;

words! {
    /// Where an outgoing message is in its life.
    "message state"
    enum MessageState {
        Planned = "planned",
        /// Attempts are made.
        Sending = "sending",
        /// The mail server took it.
        Accepted = "accepted",
        /// It is not sent; the reason says why. If its job is a dead letter, a redrive sends it.
        Failed = "failed",
        /// It was not to be sent any more; the reason says why.
        Skipped = "skipped",
        /// The server may have taken it. It is not sent again by itself.
        Unknown = "unknown",
        /// It stayed unknown for so long that nobody will find out.
        UnknownFinal = "unknown_final",
    }
}

impl MessageState {
    /// Whether nothing will change it any more, apart from late news about an unknown one and a redrive of its job.
    pub fn is_settled(self) -> bool {
        match self {
            Self::Planned | Self::Sending => false,
            Self::Accepted | Self::Failed | Self::Skipped | Self::Unknown | Self::UnknownFinal => true,
        }
    }
}
