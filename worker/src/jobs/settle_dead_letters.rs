//! Redrives or discards many dead letters: in steps, with progress. A run that is cut off is repeated from the start and
//! finds only what is still dead.

use postrider_queue::{Done, Outcome, Stop};
use postrider_shared::dead_letters::{BulkStep, Place, STEP};
use postrider_shared::jobs::{DeadLetterAction, SettleDeadLetters};
use serde_json::json;

use crate::context::Context;
use crate::registry::Handler;

impl Handler for SettleDeadLetters {
    async fn run(self, ctx: &Context) -> Outcome {
        let (mut settled, mut refused, mut place) = (0, 0, None);
        loop {
            let left = self.limit.saturating_sub(settled + refused);
            let step = step(&self, ctx, place, left.min(STEP)).await?;
            settled += step.settled;
            refused += step.refused;
            place = step.next;
            let so_far = json!({ "settled": settled, "refused": refused });
            if place.is_none() || self.limit <= settled + refused {
                return Ok(Done::with(so_far));
            }
            ctx.progress(so_far).await;
            ctx.go_on()?;
        }
    }
}

async fn step(job: &SettleDeadLetters, ctx: &Context, place: Option<Place>, limit: u64) -> Result<BulkStep, Stop> {
    let tenant = ctx.tenant()?;
    match job.action {
        DeadLetterAction::Redrive => {
            let payload = job.payload.as_ref().map(serde_json::to_vec).transpose().map_err(Stop::fail)?;
            let step = ctx.redriver.redrive_many(tenant, &job.filter, payload.as_deref(), place, limit);
            step.await.map_err(Stop::retry)
        }
        DeadLetterAction::Discard => Ok(ctx.dead_letters.discard_many(tenant, &job.filter, place, limit).await?),
    }
}
