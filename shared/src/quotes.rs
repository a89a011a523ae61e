//! Quotes, from the mail that asks to the reply that carries the PDF.
//!
//! ```text
//! draft → priced → rendered → sending → sent → accepted
//!   ↓ ↑      ↓         ↓          ↓        ├──→ declined
//! needs_review        failed    failed     └──→ expired
//! ```
//! Every step is a compare-and-set on (state, revision): a job that comes late or twice changes nothing and learns where the quote is.
//! An approval or a revision raises the revision, so that what was under way for the old one ends by itself. A revision that the
//! customer was sent is kept as it was, with its PDF; the next one has its number with `-R2`, `-R3`. Every change is noted in a row
//! that stays: who, when, from where to where.

mod conversation;
mod event;
mod issued;
mod life;
mod line;
mod link;
mod list;
mod new_quote;
mod repeat;
mod row;
mod steps;
mod store;

pub use conversation::{Amended, Amendment, Answered};
pub use event::{Actor, By, Model as QuoteEvent};
pub use issued::Model as IssuedQuote;
pub(crate) use life::lapsed;
pub use life::{Decision, ExpiryPlace, ExpiryStep, Revised, Revision};
pub use line::{DimensionValue, DimensionValues, Model as QuoteLine};
pub use link::{DecisionLink, InvalidLink};
pub use list::QuoteFilter;
pub use new_quote::{NewLine, NewQuote, PricedLine, PricedQuote, RenderedQuote};
pub use repeat::Repeat;
pub use row::Model as Quote;
pub(crate) use row::{ActiveModel, Column, Entity};
pub use steps::Approved;
pub(crate) use steps::{awaits, follow_message};
pub use store::{CreatedQuote, Quotes, Step};

use crate::words::words;

words! {
    /// Where a quote is in its life.
    "quote state"
    enum QuoteState {
        /// Its lines are known and are to be priced.
        Draft = "draft",
        /// A person must look at it; the reason says at what.
        NeedsReview = "needs_review",
        Priced = "priced",
        /// Its PDF is made and the reply is planned.
        Rendered = "rendered",
        /// The reply is being handed to the mail server, or nobody knows whether it was.
        Sending = "sending",
        /// The mail server has accepted the reply.
        Sent = "sent",
        /// The customer agreed.
        Accepted = "accepted",
        /// The customer does not want it.
        Declined = "declined",
        /// Its last day is over, and nobody has agreed.
        Expired = "expired",
        /// It will not be sent; the reason says why.
        Failed = "failed",
    }
}
