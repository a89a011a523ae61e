//! Mail that came in: recorded once, in its thread, together with the job that reads it and the place in its folder.

mod conversation;
pub(crate) mod cursor;
mod dedupe;
mod new_mail;
mod record;
mod row;
mod settling;
mod sighting;
pub(crate) mod snapshot;
mod store;
pub(crate) mod thread;

pub(crate) use conversation::is_overtaken;
pub use cursor::{Epoch, Failing, Model as MailboxCursor, Numbering, Opened};
pub use dedupe::dedupe_key;
pub use new_mail::NewMail;
pub use record::Recorded;
pub use row::Model as InboundMail;
pub(crate) use row::{ActiveModel, Column, Entity};
pub use settling::Settled;
pub(crate) use settling::{Settlement, settle};
pub use sighting::Sighting;
pub use snapshot::{Coverage, Print, Snapshot};
pub use store::Mail;
pub(crate) use store::find;
pub use thread::Model as Thread;

use crate::words::words;

words! {
    /// Where a mail is in its life.
    "mail state"
    enum MailState {
        /// Recorded, and to be read by the language model.
        Received = "received",
        /// It became a quote, or changed or decided one.
        Extracted = "extracted",
        /// A person must answer it; the reason says why.
        NeedsReview = "needs_review",
        /// A person has dealt with it.
        Resolved = "resolved",
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
        /// It changes what a quote of its conversation offers.
        Amends = "amends",
        /// It agrees to a quote of its conversation.
        Accepts = "accepts",
        /// It turns a quote of its conversation down.
        Declines = "declines",
        /// It asks for something that only a person can answer.
        Question = "question",
        /// It continues an earlier conversation and wants nothing.
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
