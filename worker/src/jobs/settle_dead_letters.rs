//! Redrives or discards many dead letters: in steps, with progress. A run that is cut off goes on at the place that the one before
//! noted, and counts as settled what that had done after its last note.

use chrono::TimeDelta;
use postrider_queue::{Done, Outcome, Stop};
use postrider_shared::audit::{AuditActor, AuditKind, AuditOutcome, AuditedRequest, Happened};
use postrider_shared::dead_letters::{BulkStep, Edit, Place, STEP};
use postrider_shared::jobs::{DeadLetterAction, SettleDeadLetters};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::context::Context;
use crate::registry::Handler;

/// How soon to go on in a queue without room that took some jobs, and in one that took none.
const ROOM_COMES: TimeDelta = TimeDelta::seconds(5);
const NO_ROOM_COMES: TimeDelta = TimeDelta::seconds(30);

/// How far it is, as watchers of the job see it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Tally {
    /// How many there were when it began, at most its limit.
    total: u64,
    /// How many it has dealt with.
    done: u64,
    /// Of these: redriven or discarded.
    settled: u64,
    /// Of these: stay dead, each with a note.
    refused: u64,
    /// Dead letters after the place.
    left: u64,
    /// Where it goes on.
    place: Option<Place>,
    /// The queue has no room for the next ones: it goes on when there is some. What else is said here holds till then.
    #[serde(default)]
    waits_for_room: bool,
}

impl Handler for SettleDeadLetters {
    async fn run(self, ctx: &Context) -> Outcome {
        let tenant = ctx.tenant()?;
        let mut tally = if let Some(earlier) = ctx.earlier_progress::<Tally>().await? {
            let left = ctx.dead_letters.count(tenant, &self.filter, earlier.place).await?;
            let unsaid = if earlier.waits_for_room { 0 } else { earlier.left.saturating_sub(left) };
            Tally { settled: earlier.settled + unsaid, left, waits_for_room: false, ..earlier }
        } else {
            let left = ctx.dead_letters.count(tenant, &self.filter, None).await?;
            Tally { total: left.min(self.limit), left, ..Tally::default() }
        };
        if self.dry_run {
            return Ok(Done::with(json!({ "total": tally.total })));
        }
        let before = tally.settled;
        loop {
            tally.done = tally.settled + tally.refused;
            tally.total = tally.total.max(tally.done);
            ctx.progress(json!(tally)).await;
            if tally.waits_for_room {
                let wait = if tally.settled > before { ROOM_COMES } else { NO_ROOM_COMES };
                return Err(Stop::snooze(ctx.clock.now() + wait, "the queue has no room for more jobs"));
            }
            ctx.go_on()?;
            let step = step(&self, ctx, tally.place, self.limit.saturating_sub(tally.done).min(STEP)).await?;
            tally.settled += step.settled;
            tally.refused += step.refused;
            tally.left = tally.left.saturating_sub(step.settled + step.refused);
            tally.place = step.next;
            if step.no_room && tally.settled + tally.refused < self.limit {
                tally.left = ctx.dead_letters.count(tenant, &self.filter, tally.place).await?;
                tally.waits_for_room = true;
                continue;
            }
            if tally.place.is_none() || self.limit <= tally.settled + tally.refused {
                let ended = ended(&tally);
                record(&self, ctx, &ended).await?;
                return Ok(Done::with(ended));
            }
        }
    }
}

/// What it came to. Letters that others settled meanwhile, one by one, are `gone`.
fn ended(tally: &Tally) -> Value {
    let done = tally.settled + tally.refused;
    let total = tally.total.max(done);
    json!({ "total": total, "settled": tally.settled, "refused": tally.refused, "gone": total - done })
}

/// One event tells of them all, under the request that asked: thousands of letters would drown the log. Each letter's own row says what
/// became of it.
async fn record(job: &SettleDeadLetters, ctx: &Context, done: &Value) -> Result<(), Stop> {
    let operation = match job.action {
        DeadLetterAction::Redrive => "redrive_dead_letters",
        DeadLetterAction::Discard => "discard_dead_letters",
    };
    let request = AuditedRequest {
        actor: AuditActor::System,
        tenant: Some(ctx.tenant()?),
        request_id: job.request_id.clone().unwrap_or_default(),
        ip: None,
        operation: operation.to_owned(),
        resource: "dead-letters".to_owned(),
        subject_id: Some(ctx.job.id.to_string()),
    };
    let event = Happened {
        request,
        at: ctx.clock.now(),
        kind: AuditKind::Change,
        outcome: AuditOutcome::Done,
        user: None,
        times: 1,
        after: Some(json!({ "filter": job.filter, "settled": done["settled"], "refused": done["refused"] })),
    };
    // A run that is cut off after this is repeated.
    Ok(ctx.audit.happened_once(event, &[operation, &ctx.job.id.to_string()]).await?)
}

async fn step(job: &SettleDeadLetters, ctx: &Context, place: Option<Place>, limit: u64) -> Result<BulkStep, Stop> {
    let tenant = ctx.tenant()?;
    match job.action {
        DeadLetterAction::Redrive => {
            let edit = match (&job.payload, &job.patch) {
                (_, Some(patch)) => Edit::Patched(patch.clone()),
                (Some(payload), None) => Edit::Replaced(serde_json::to_vec(payload).map_err(Stop::fail)?),
                (None, None) => Edit::AsItDied,
            };
            let step = ctx.redriver.redrive_many(tenant, &job.filter, &edit, place, limit);
            step.await.map_err(Stop::retry)
        }
        DeadLetterAction::Discard => Ok(ctx.dead_letters.discard_many(tenant, &job.filter, place, limit).await?),
    }
}
