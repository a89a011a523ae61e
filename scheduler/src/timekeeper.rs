//! Keeps the scheduler's time from running ahead of the queue's. A planned start lies in the queue until its time has come there, and
//! keeps later ones out meanwhile; what is planned or pruned by a clock that is ahead stays so after the clock was put right.

use std::time::Duration;

use postrider_queue::QueueClient;
use postrider_shared::clock::Clock;

use crate::duty::{Duty, DutyError, Step};

/// Compares.
pub struct Timekeeper {
    queue: QueueClient,
    clock: Clock,
    is_ahead: bool,
}

impl Timekeeper {
    /// `clock` is to be [bounded](Clock::bounded).
    pub fn new(queue: QueueClient, clock: Clock) -> Self {
        Self { queue, clock, is_ahead: false }
    }
}

impl Duty for Timekeeper {
    const NAME: &'static str = "timekeeper";

    fn every(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn step(&mut self) -> Result<Step, DutyError> {
        let ahead = self.clock.bind(self.queue.time().await?);
        if let Some(ahead) = ahead.filter(|_| !self.is_ahead) {
            let ahead_s = ahead.num_seconds();
            tracing::warn!(
                ahead_s,
                "this machine's clock is ahead of Redis's: the scheduler goes by Redis's until it is not"
            );
        } else if ahead.is_none() && self.is_ahead {
            tracing::info!("this machine's clock is no longer ahead of Redis's");
        }
        self.is_ahead = ahead.is_some();
        Ok(Step::Rest)
    }
}
