//! Cancels many jobs that wait: first they are counted, then cancelled, in bounded steps, with progress. A run that is cut off is
//! repeated from the start, finds only what still waits, and goes on counting where the one before left off.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use postrider_queue::{Cancelled, Done, Job as _, JobRecord, Outcome, Stop, Walk};
use postrider_shared::jobs::{CancelJobs, SendEmail};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::context::Context;
use crate::registry::Handler;

/// Cancelled beside each other.
const TOGETHER: usize = 32;
/// Pieces of the walk between two notes of how far it is.
const NOTE_EVERY: u32 = 20;

/// How far it is, as watchers of the job see it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Tally {
    /// How many waited when it began.
    total: u64,
    /// How many it has dealt with.
    done: u64,
    /// Of these: will not run.
    cancelled: u64,
    /// Of these: had begun to run meanwhile, and were asked to stop.
    asked_to_stop: u64,
    /// Of these: had ended meanwhile.
    gone: u64,
}

impl Handler for CancelJobs {
    async fn run(self, ctx: &Context) -> Outcome {
        let mut tally = match ctx.earlier_progress::<Tally>().await? {
            Some(tally) => tally,
            None => Tally { total: count(&self, ctx).await?, ..Tally::default() },
        };
        if self.dry_run {
            return Ok(Done::with(json!({ "total": tally.total })));
        }
        ctx.progress(json!(tally)).await;
        let mut noted = 0;
        let mut walk = Some(Walk::default());
        while let Some(from) = walk {
            let (found, next) = piece(&self, ctx, &from).await?;
            walk = next;
            for became in cancel(ctx, found).await? {
                tally.done += 1;
                match became {
                    Cancelled::Now => tally.cancelled += 1,
                    Cancelled::Requested => tally.asked_to_stop += 1,
                    Cancelled::AlreadyFinished(_) | Cancelled::NotFound => tally.gone += 1,
                }
            }
            tally.total = tally.total.max(tally.done);
            noted += 1;
            if noted % NOTE_EVERY == 0 {
                ctx.progress(json!(tally)).await;
            }
            ctx.go_on()?;
        }
        ctx.progress(json!(tally)).await;
        Ok(Done::with(json!(tally)))
    }
}

async fn count(job: &CancelJobs, ctx: &Context) -> Result<u64, Stop> {
    let (mut many, mut walk) = (0, Some(Walk::default()));
    while let Some(from) = walk {
        let (found, next) = piece(job, ctx, &from).await?;
        many += found.len() as u64;
        walk = next;
        ctx.go_on()?;
    }
    Ok(many)
}

async fn piece(job: &CancelJobs, ctx: &Context, from: &Walk) -> Result<(Vec<JobRecord>, Option<Walk>), Stop> {
    let filter = job.filter.as_filter().map_err(Stop::fail)?;
    let (mut found, next) = ctx.queue.waiting(&ctx.job.tenant, &filter, from).await?;
    // This one runs; but after a crash it waits for a moment, and must not find itself.
    found.retain(|record| record.id != ctx.job.id);
    Ok((found, next))
}

async fn cancel(ctx: &Context, found: Vec<JobRecord>) -> Result<Vec<Cancelled>, Stop> {
    stream::iter(found).map(|record| cancel_one(ctx, record)).buffer_unordered(TOGETHER).try_collect().await
}

async fn cancel_one(ctx: &Context, found: JobRecord) -> Result<Cancelled, Stop> {
    // What a walk finds comes without payload.
    if found.kind == SendEmail::KIND
        && let Some(whole) = ctx.queue.get(found.id).await?
        && let Some(message) = SendEmail::message_of(whole.kind.as_str(), &whole.payload)
    {
        ctx.messages.withdraw(ctx.tenant()?, message).await?;
    }
    Ok(ctx.queue.cancel(found.id).await?)
}
