//! Quotes, from the mail that asks to the reply that carries the PDF.
//!
//! ```text
//! draft → priced → rendered → sending → sent
//!   ↓ ↑      ↓         ↓          ↓
//! needs_review        failed    failed
//! ```
//! Every step is a compare-and-set on (state, revision): a job that comes late or twice changes nothing and learns where the quote is.
//! An approval raises the revision, so that what was under way for the old one ends by itself.

mod line;
mod list;
mod new_quote;
mod row;
mod steps;
mod store;

pub use line::{DimensionValue, DimensionValues, Model as QuoteLine};
pub use list::QuoteFilter;
pub use new_quote::{NewLine, NewQuote, PricedLine, PricedQuote, RenderedQuote};
pub use row::Model as Quote;
pub(crate) use row::{ActiveModel, Column, Entity};
pub use steps::Approved;
pub(crate) use steps::follow_message;
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
        /// It will not be sent; the reason says why.
        Failed = "failed",
    }
}
