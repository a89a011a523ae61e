//! Removes large payloads from the object store once their jobs are forgotten, in bounded steps.

use std::time::Duration;

use postrider_shared::payloads::PayloadSweep;

use crate::duty::{Duty, DutyError, Step};

/// Payloads per step.
const BATCH: u64 = 100;

/// Sweeps.
pub struct Sweeper(PayloadSweep);

impl Sweeper {
    pub fn new(sweep: PayloadSweep) -> Self {
        Self(sweep)
    }
}

impl Duty for Sweeper {
    const NAME: &'static str = "sweeper";

    fn every(&self) -> Duration {
        Duration::from_mins(1)
    }

    async fn step(&mut self) -> Result<Step, DutyError> {
        let swept = self.0.step(BATCH).await?;
        DutyError::partly(Step::after(swept.looked, BATCH), swept.failed.map(DutyError::from))
    }
}
