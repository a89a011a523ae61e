//! Keeps the queue's pauses equal to what the database says of tenants.

use std::time::Duration;

use postrider_shared::tenants::Pauses;

use crate::duty::{Duty, DutyError, Step};

impl Duty for Pauses {
    const NAME: &'static str = "pauses";

    fn every(&self) -> Duration {
        Duration::from_secs(10)
    }

    async fn step(&mut self) -> Result<Step, DutyError> {
        let mended = self.compare().await?;
        if mended > 0 {
            tracing::info!(tenants = mended, "the queue was told which tenants take part");
        }
        Ok(Step::Rest)
    }
}
