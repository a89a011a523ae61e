use postrider_queue::{Job, JobKind, QueueName, UniqueKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Declared, Queue};
use crate::ids::QuoteId;

/// Prices the lines of a drafted quote by the products' formulas. Follows `extract_request`, or an approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PriceQuote {
    #[schema(value_type = uuid::Uuid)]
    pub quote_id: QuoteId,
}

impl Job for PriceQuote {
    const KIND: JobKind = JobKind::new("price_quote");
    const QUEUE: QueueName = Queue::Quotes.name();

    fn unique_key(&self) -> Option<UniqueKey> {
        Some(self.quote_id.to_string().into())
    }
}

impl Declared for PriceQuote {
    const SUMMARY: &'static str = "Prices the lines of a drafted quote by the products' formulas.";
}
