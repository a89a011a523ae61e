//! Mail that came in: recorded once, in its thread, together with the job that reads it and the place in its folder.

mod cursor;
mod dedupe;
mod new_mail;
mod record;
mod row;
mod sighting;
mod store;
pub(crate) mod thread;

pub use cursor::{Model as MailboxCursor, Numbering, Opened};
pub use dedupe::dedupe_key;
pub use new_mail::NewMail;
pub use record::Recorded;
pub use row::Model as InboundMail;
pub(crate) use row::{ActiveModel, Column, Entity};
pub use sighting::Sighting;
pub use store::{Mail, Settled};
pub(crate) use store::{find, settle};
pub use thread::Model as Thread;

use crate::words::words;

words! {
    /// Where a mail is in its life.
    "mail state"
    enum MailState {
        /// Recorded, and to be read by the language model.
        Received = "received",
        /// It became a quote.
        Extracted = "extracted",
        /// It asks for nothing, or was answered already.
        Ignored = "ignored",
        /// It could not be read.
        Failed = "failed",
    }
}

words! {
    /// What a mail wants.
    "intent"
    enum Intent {
        NewRequest = "new_request",
        /// It continues an earlier request.
        FollowUp = "follow_up",
        /// It repeats an earlier request.
        Duplicate = "duplicate",
        NotARequest = "not_a_request",
    }
}

/// What the language model made of a mail, as far as it was understood.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    pub intent: Option<Intent>,
    /// ISO 639-1.
    pub language: Option<String>,
    /// 0 to 1.
    pub confidence: Option<f64>,
}
