use std::time::Duration;

use postrider_queue::{Job, JobKind, QueueName, UniqueKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Declared, Queue};
use crate::ids::QuoteId;

/// Renders a priced quote as PDF and plans the reply that carries it. Follows `price_quote`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RenderQuote {
    #[schema(value_type = uuid::Uuid)]
    pub quote_id: QuoteId,
    /// The revision that was priced; another one is somebody else's job.
    pub revision: u32,
}

impl Job for RenderQuote {
    const KIND: JobKind = JobKind::new("render_quote");
    const QUEUE: QueueName = Queue::Quotes.name();
    /// The database may be away for an hour.
    const MAX_ATTEMPTS: u32 = 20;
    const TIMEOUT: Duration = Duration::from_mins(2);

    fn unique_key(&self) -> Option<UniqueKey> {
        Some(format!("{}:{}", self.quote_id, self.revision).into())
    }
}

impl Declared for RenderQuote {
    const SUMMARY: &'static str = "Renders a priced quote as PDF and plans the reply that carries it.";
}
