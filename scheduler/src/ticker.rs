//! Queue maintenance: promotes due jobs, rescues those of dead workers, unparks lanes, prunes. Workers do the same; with
//! the scheduler doing it, too, jobs become due and are rescued even while no worker is up.

use std::time::Duration;

use postrider_queue::Upkeep;

use crate::duty::{Duty, DutyError, Step};

/// Takes the queue's maintenance steps.
pub struct Ticker {
    pub upkeep: Upkeep,
    pub every: Duration,
}

impl Duty for Ticker {
    const NAME: &'static str = "queue maintenance";

    fn every(&self) -> Duration {
        self.every
    }

    async fn step(&mut self) -> Result<Step, DutyError> {
        let ticked = self.upkeep.step().await?;
        if ticked.rescued > 0 {
            tracing::info!(rescued = ticked.rescued, "took jobs back from workers that are gone");
        }
        Ok(if ticked.more { Step::More } else { Step::Rest })
    }
}
