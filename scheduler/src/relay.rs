//! Brings jobs from the outbox to the queue that their writer could not bring any more: it was killed between commit and
//! enqueue, or Redis was away.

use std::time::Duration;

use postrider_queue::QueueClient;
use postrider_shared::outbox;

use crate::duty::{Duty, DutyError, Step};

/// Entries of a tenant per step.
const SHARE: u64 = 256;

/// Sweeps the outbox.
pub struct Relay {
    sweep: outbox::Sweep<QueueClient>,
    every: Duration,
}

impl Relay {
    pub fn new(outbox: outbox::Outbox, queue: QueueClient, every: Duration) -> Self {
        Self { sweep: outbox::Sweep::new(outbox, queue, SHARE), every }
    }
}

impl Duty for Relay {
    const NAME: &'static str = "outbox relay";

    fn every(&self) -> Duration {
        self.every
    }

    async fn step(&mut self) -> Result<Step, DutyError> {
        let swept = self.sweep.step().await?;
        let step = if swept.more { Step::More } else { Step::Rest };
        // What cannot go now must not make others wait, be it that nothing could.
        DutyError::partly(step, swept.put_off.map(DutyError::from))
    }
}
