use postrider_queue::{Job, JobKind, QueueName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Declared, Queue};
use crate::ids::QuoteId;

/// Prices the lines of a drafted quote by the products' formulas. Follows `extract_request`, or an approval.
///
/// It has no unique key: an approval may come while the job that sent the quote to review is still ending, and must not be taken
/// for the same. The quote's own state decides what there is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PriceQuote {
    #[schema(value_type = uuid::Uuid)]
    pub quote_id: QuoteId,
}

impl Job for PriceQuote {
    const KIND: JobKind = JobKind::new("price_quote");
    const QUEUE: QueueName = Queue::Quotes.name();
    /// The database may be away for an hour.
    const MAX_ATTEMPTS: u32 = 20;
}

impl Declared for PriceQuote {
    const SUMMARY: &'static str = "Prices the lines of a drafted quote by the products' formulas.";
}
