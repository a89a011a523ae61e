//! Many jobs in one lane.

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use postrider_queue::{JobId, Links, ListFilter, NewJob};

use crate::{Failure, Letter, Scene};
use postrider_queue::Job as _;

/// Takes what waits out of a lane as if a session had claimed it that died.
const DIE: &str = include_str!("../../tests/die.lua");

/// Lets all buckets of later jobs be opened now.
const OPEN: &str = "
local later = string.sub(KEYS[1], 1, -5) .. 'later'
local all = redis.call('ZRANGE', later, 0, -1)
for _, bucket in ipairs(all) do redis.call('ZADD', later, 1, bucket) end
return #all";

async fn time(scene: &Scene) -> Result<DateTime<Utc>, Failure> {
    let (seconds, _): (i64, i64) = redis::cmd("TIME").query_async(&mut scene.redis.clone()).await?;
    Ok(DateTime::from_timestamp(seconds, 0).ok_or("no such time")?)
}

async fn enqueue(scene: &Scene, mut each: impl FnMut(NewJob, u32) -> NewJob) -> Result<Vec<JobId>, Failure> {
    let mut ids = Vec::new();
    for first in (0..scene.many).step_by(10_000) {
        let jobs = (first..scene.many.min(first + 10_000))
            .map(|n| Ok(each(NewJob::of(scene.acme.clone(), &Letter::new(n % 2 == 0))?, n)));
        let jobs = jobs.collect::<Result<_, Failure>>()?;
        ids.extend(scene.client.enqueue_many(jobs).await?.iter().map(postrider_queue::Enqueued::id));
    }
    Ok(ids)
}

/// Scheduled, due, held by a dead session, dead or completed, archived, pruned.
pub(crate) async fn many(scene: &mut Scene) -> Result<(), Failure> {
    let far = time(scene).await? + TimeDelta::days(10);
    enqueue(scene, |job, _| job.run_at(far)).await?;
    scene.slow.tell("scheduled in ten days").await?;
    redis::cmd("EVAL").arg(OPEN).arg(1).arg("{pr:0}:1:jobs").exec_async(&mut scene.redis).await?;
    scene.slow.forget().await?;
    scene.maintain(async || Ok(true)).await?;
    scene.slow.tell("poured out of their bucket").await?;
    redis::cmd("FLUSHALL").exec_async(&mut scene.redis).await?;
    scene.client = scene.again().await?;

    let due = time(scene).await? + TimeDelta::seconds(20 + i64::from(scene.many / 10_000));
    enqueue(scene, |job, _| job.run_at(due)).await?;
    scene.slow.tell("scheduled").await?;
    let client = scene.client.clone();
    scene.maintain(async || Ok(client.queue(&Letter::QUEUE).await?.scheduled == 0)).await?;
    scene.slow.tell("all due at once, promoted").await?;
    scene.client.list(&scene.acme, &ListFilter::default(), None, 100).await?;
    scene.client.queues().await?;
    scene.slow.tell("listed and counted").await?;

    let mut die = redis::cmd("EVAL");
    die.arg(DIE).arg(1).arg("{pr:0}:1:jobs").arg("letters");
    while die.query_async::<u32>(&mut scene.redis).await? > 0 {}
    scene.slow.forget().await?;
    scene.maintain(async || Ok(client.queue(&Letter::QUEUE).await?.running == 0)).await?;
    scene.slow.tell("all held by one dead session, rescued").await?;

    scene.drain().await?;
    scene.slow.tell("drained, half of them dead").await?;
    loop {
        let letters = scene.client.dead(0, 256).await?;
        if letters.is_empty() {
            break;
        }
        let ids: Vec<_> = letters.iter().map(|letter| (letter.record.id, letter.death_number)).collect();
        scene.client.dead_archived(&ids).await?;
    }
    scene.slow.tell("dead letters archived").await?;
    scene.prune().await?;
    scene.slow.tell("records pruned").await
}

/// One batch of them all.
pub(crate) async fn batch(scene: &mut Scene) -> Result<(), Failure> {
    let id = scene.client.batch_id(&scene.acme);
    let completion = NewJob::of(scene.acme.clone(), &Letter::new(false))?;
    scene.client.open_batch(&scene.acme, id, Some(completion)).await?;
    enqueue(scene, |job, _| NewJob { links: Links { batch: Some(id), ..Links::default() }, ..job }).await?;
    scene.client.seal_batch(&scene.acme, id).await?;
    scene.slow.tell("a batch, enqueued").await?;
    scene.drain().await?;
    let batch = scene.client.batch(id).await?.ok_or("no batch")?;
    tracing::info!("the batch: {batch:?}");
    scene.slow.tell("a batch, drained").await?;
    redis::cmd("FLUSHALL").exec_async(&mut scene.redis).await?;
    scene.client = scene.again().await?;
    Ok(())
}

/// Cancelled one by one while they wait, then passed over.
pub(crate) async fn cancelled(scene: &mut Scene) -> Result<(), Failure> {
    let ids = enqueue(scene, |job, _| job).await?;
    scene.slow.tell("enqueued").await?;
    let client = &scene.client;
    stream::iter(ids)
        .map(|id| async move { client.cancel(id).await })
        .buffer_unordered(64)
        .try_for_each(async |_| Ok(()))
        .await?;
    scene.slow.tell("cancelled one by one").await?;
    enqueue_one(scene).await?;
    scene.drain().await?;
    scene.slow.tell("passed over in their lane").await?;
    scene.prune().await?;
    scene.slow.tell("cancelled records pruned").await
}

async fn enqueue_one(scene: &Scene) -> Result<(), Failure> {
    scene.client.enqueue(NewJob::of(scene.acme.clone(), &Letter::new(false))?).await?;
    Ok(())
}
