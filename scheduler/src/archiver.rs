//! Moves dead letters from Redis to the database, where they wait for a person without taking memory from the living.
//!
//! A dead letter has one owner at a time: Redis until its row is committed, then the row. Written twice it is one row (its
//! id derives from job and death); told twice the queue forgets it once. Also ends redrives that a process left half-way.

use std::time::Duration;

use postrider_queue::QueueClient;
use postrider_shared::{
    clock::Clock,
    database::AllTenants,
    dead_letters::{DeadLetters, Redriver},
};

use crate::duty::{Duty, DutyError, Step};

/// Dead letters per shard and step.
const BATCH: u32 = 256;
/// A redrive takes milliseconds; one that began this long ago has lost its process.
const REDRIVE_LOST_AFTER: Duration = Duration::from_secs(30);

/// Archives dead letters.
pub struct Archiver {
    letters: DeadLetters,
    redriver: Redriver<QueueClient>,
    queue: QueueClient,
    clock: Clock,
}

impl Archiver {
    pub fn new(letters: DeadLetters, queue: QueueClient, clock: Clock) -> Self {
        let redriver = Redriver::new(letters.clone(), queue.clone());
        Self { letters, redriver, queue, clock }
    }
}

impl Duty for Archiver {
    const NAME: &'static str = "archiver";

    fn every(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn step(&mut self) -> Result<Step, DutyError> {
        let mut step = Step::Rest;
        for shard in 0..self.queue.shards() {
            let letters = self.queue.dead(shard, BATCH as usize).await?;
            if letters.is_empty() {
                continue;
            }
            let archived = self.letters.archive(AllTenants, &letters).await?;
            self.queue.dead_archived(&archived).await?;
            metrics::counter!("postrider_scheduler_archived_total").increment(archived.len() as u64);
            step = step.or(Step::after(letters.len(), BATCH.into()));
        }
        let began_before = self.clock.now() - REDRIVE_LOST_AFTER;
        let redriven = self.redriver.sweep(began_before, BATCH.into()).await?;
        Ok(step.or(Step::after(redriven, BATCH.into())))
    }
}
