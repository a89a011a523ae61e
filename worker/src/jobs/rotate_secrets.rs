//! Seals all secrets with the newest key: in steps, with progress, while everything runs. A run that is cut off is repeated from the
//! start and finds only what another key still seals.

use std::time::Duration;

use chrono::TimeDelta;
use postrider_queue::{Done, Outcome, Stop};
use postrider_shared::database::AllTenants;
use postrider_shared::jobs::RotateSecrets;
use postrider_shared::secrets::{Place, SealedCount};
use serde_json::{Value, json};

use crate::context::Context;
use crate::registry::Handler;

/// How soon to look whether another worker, or this one after a restart, seals with the new key.
const OTHER_WORKER: TimeDelta = TimeDelta::seconds(10);
/// Passes over all columns for rows that were locked the time before.
const PASSES: u32 = 5;
/// Between two such passes: whoever holds a row lets it go within milliseconds.
const BETWEEN: Duration = Duration::from_millis(200);

impl Handler for RotateSecrets {
    async fn run(self, ctx: &Context) -> Outcome {
        let first = ctx.secrets.keys()?.sealing_key();
        if first != self.to {
            let reason =
                format!("this worker seals with key `{first}`, not with `{}`: restart it with that one first", self.to);
            return Err(Stop::snooze(ctx.clock.now() + OTHER_WORKER, reason));
        }
        let mut resealed = 0;
        for pass in 1..=PASSES {
            let unreadable = over_all(ctx, &self.to, &mut resealed).await?;
            let left = others(&ctx.secrets.count(AllTenants).await?, &self.to);
            let many: u64 = left.iter().map(|(_, values)| values).sum();
            if many <= unreadable {
                return Ok(Done::with(ended(&self.to, resealed, unreadable, &left, ctx)));
            }
            if pass < PASSES {
                tokio::time::sleep(BETWEEN).await;
            }
        }
        Err(Stop::retry("some rows were locked each time; the next attempt finds what is left"))
    }
}

/// One pass over all columns; returns how many texts do not open.
async fn over_all(ctx: &Context, to: &str, resealed: &mut u64) -> Result<u64, Stop> {
    let (mut place, mut unreadable) = (Some(Place::default()), 0);
    while let Some(from) = place {
        let step = ctx.secrets.rotate(AllTenants, from).await?;
        *resealed += step.resealed;
        unreadable += step.unreadable;
        place = step.next;
        ctx.progress(json!({ "to": to, "resealed": *resealed, "unreadable": unreadable })).await;
        ctx.go_on()?;
    }
    Ok(unreadable)
}

/// How many texts each other key still seals.
fn others(counts: &[SealedCount], to: &str) -> Vec<(String, u64)> {
    let mut left: Vec<(String, u64)> = Vec::new();
    for count in counts.iter().filter(|count| count.key != to) {
        match left.iter_mut().find(|(key, _)| *key == count.key) {
            Some((_, values)) => *values += count.values,
            None => left.push((count.key.clone(), count.values)),
        }
    }
    left
}

fn ended(to: &str, resealed: u64, unreadable: u64, left: &[(String, u64)], ctx: &Context) -> Value {
    let still = |key: &str| left.iter().find(|(other, _)| other == key).map_or(0, |(_, values)| *values);
    let ring = ctx.secrets.keys().map(|keys| keys.key_ids().map(str::to_owned).collect::<Vec<_>>()).unwrap_or_default();
    let mut summary: Vec<String> = Vec::new();
    for key in ring.iter().filter(|key| *key != to) {
        let values = still(key);
        let verdict = if values == 0 { "it may be removed" } else { "it must stay" };
        summary.push(format!("{values} values left under key {key}: {verdict}"));
    }
    for (key, values) in left.iter().filter(|(key, _)| !ring.contains(key)) {
        summary.push(format!("{values} values under key {key}, which is not in SECRET_KEYS: they cannot be opened"));
    }
    json!({ "to": to, "resealed": resealed, "unreadable": unreadable, "summary": summary })
}
