//! Moves dead letters from Redis to the database, where they wait for a person without taking memory from the living.
//!
//! A dead letter has one owner at a time: Redis until its row is committed, then the row. Written twice it is one row (its
//! id derives from job and death); told twice the queue forgets it once. Also ends redrives that a process left half-way.
//!
//! A Redis server that is away keeps only its own tenants' letters waiting.

use std::time::Duration;

use postrider_queue::QueueClient;
use postrider_shared::{
    clock::Clock,
    database::AllTenants,
    dead_letters::{DeadLetters, Place, Redriver},
    outbox::RelayError,
    scopes::Scopes,
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
    /// Where the look through redrives that did not end goes on.
    redrives: Option<Place>,
    /// The next shard: a step that is cut where a server says nothing goes on behind it.
    shard: u16,
}

impl Archiver {
    pub fn new(letters: DeadLetters, queue: QueueClient, clock: Clock) -> Self {
        let redriver = Redriver::new(letters.clone(), queue.clone());
        Self { letters, redriver, queue, clock, redrives: None, shard: 0 }
    }

    /// Redriven jobs' shares are defined by these.
    #[must_use]
    pub fn with_scopes(self, scopes: Scopes) -> Self {
        Self { redriver: self.redriver.with_scopes(scopes), ..self }
    }

    /// Archives some letters of a shard; how many.
    async fn archive(&self, shard: u16) -> Result<usize, DutyError> {
        let letters = self.queue.dead(shard, BATCH as usize).await?;
        if !letters.is_empty() {
            let archived = self.letters.archive(AllTenants, &letters).await?;
            self.queue.dead_archived(&archived).await?;
            metrics::counter!("postrider_scheduler_archived_total").increment(archived.len() as u64);
        }
        Ok(letters.len())
    }
}

impl Duty for Archiver {
    const NAME: &'static str = "archiver";

    fn every(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn step(&mut self) -> Result<Step, DutyError> {
        let (mut step, mut failed) = (Step::Rest, None);
        let shards = self.queue.shards();
        for _ in 0..shards {
            let shard = self.shard;
            self.shard = (shard + 1) % shards;
            match self.archive(shard).await {
                Ok(letters) => step = step.or(Step::after(letters, BATCH.into())),
                Err(error @ DutyError::Queue(_)) => failed = Some(error),
                Err(error) => return Err(error),
            }
        }
        let began_before = self.clock.now() - REDRIVE_LOST_AFTER;
        match self.redriver.sweep(began_before, &mut self.redrives, BATCH.into()).await {
            Ok(redriven) => step = step.or(Step::after(redriven, BATCH.into())),
            Err(error @ RelayError::Queue(_)) => failed = Some(error.into()),
            Err(error) => return Err(error.into()),
        }
        DutyError::partly(step, failed)
    }
}
