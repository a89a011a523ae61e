//! Lets quotes expire whose last day is over where their tenant is.

use std::time::Duration;

use postrider_shared::{
    database::AllTenants,
    quotes::{ExpiryPlace, Quotes},
};

use crate::duty::{Duty, DutyError, Step};

/// Quotes per step.
const BATCH: u64 = 100;

/// Expires. Which quotes are over is in their rows, so nothing is missed while no scheduler runs.
pub struct Expirer {
    quotes: Quotes,
    after: Option<ExpiryPlace>,
}

impl Expirer {
    pub fn new(quotes: Quotes) -> Self {
        Self { quotes, after: None }
    }
}

impl Duty for Expirer {
    const NAME: &'static str = "expirer";

    fn every(&self) -> Duration {
        Duration::from_mins(1)
    }

    async fn step(&mut self) -> Result<Step, DutyError> {
        let step = self.quotes.expire_due(AllTenants, self.after, BATCH).await?;
        metrics::counter!("postrider_scheduler_expired_quotes_total").increment(step.expired);
        self.after = step.next;
        Ok(if step.next.is_some() { Step::More } else { Step::Rest })
    }
}
