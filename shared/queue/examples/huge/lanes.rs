//! Many lanes, and many jobs that wait for a scope.

use chrono::{DateTime, TimeDelta};
use futures::{StreamExt, TryStreamExt, stream};
use postrider_queue::{CapSpec, Lane, LaneName, NewJob, ScopeKey, ScopeLimits, Window};

use crate::{Failure, Letter, Scene};
use postrider_queue::Job as _;

fn limits(limit: u64) -> ScopeLimits {
    let starts_at = DateTime::UNIX_EPOCH;
    let window = Window { starts_at, ends_at: starts_at + TimeDelta::days(40_000), used_before: 0 };
    ScopeLimits::caps(vec![CapSpec::calendar(limit, vec![window])])
}

/// Jobs `each` over lanes, every lane with the scope `scope_of` names.
async fn fill(scene: &Scene, lanes: u32, each: u32, scope_of: impl Fn(u32) -> String) -> Result<(), Failure> {
    for first in (0..lanes).step_by(5_000) {
        let jobs = (first..lanes.min(first + 5_000)).flat_map(|n| (0..each).map(move |_| n)).map(|n| {
            let mut job = NewJob::of(scene.acme.clone(), &Letter::new(false))?;
            job.lane = Lane::with_scopes(LaneName::parse(format!("lane-{n}"))?, vec![ScopeKey::parse(scope_of(n))?]);
            Ok(job)
        });
        scene.client.enqueue_many(jobs.collect::<Result<_, Failure>>()?).await?;
    }
    Ok(())
}

/// A tenth as many lanes, each with a scope of its own.
pub(crate) async fn many(scene: &mut Scene) -> Result<(), Failure> {
    let lanes = scene.many / 10;
    let (client, acme, limits) = (&scene.client, &scene.acme, &limits(1_000_000));
    stream::iter(0..lanes)
        .map(|n| async move {
            client.define_scope(acme, &ScopeKey::parse(format!("scope-{n}"))?, limits).await?;
            Ok::<(), Failure>(())
        })
        .buffer_unordered(64)
        .try_collect::<Vec<()>>()
        .await?;
    fill(scene, lanes, 2, |n| format!("scope-{n}")).await?;
    scene.slow.tell("scopes defined, lanes filled").await?;
    scene.client.queues().await?;
    scene.drain().await?;
    scene.slow.tell("lanes drained").await?;
    scene.prune().await?;
    scene.slow.tell("lanes forgotten").await
}

/// A tenth as many lanes that wait for one scope, ten jobs in each; then the scope opens.
pub(crate) async fn parked(scene: &mut Scene) -> Result<(), Failure> {
    let scope = ScopeKey::parse("closed")?;
    scene.client.define_scope(&scene.acme, &scope, &limits(0)).await?;
    fill(scene, scene.many / 10, 10, |_| "closed".to_owned()).await?;
    scene.slow.tell("lanes of one scope filled").await?;
    // Each claim parks the lanes it visits.
    let parked = async {
        loop {
            let stats = scene.client.queue(&Letter::QUEUE).await?;
            if stats.parked_lanes >= u64::from(scene.many / 10) {
                return Ok::<(), Failure>(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    };
    tokio::select! {
        drained = scene.drain() => drained?,
        parked = parked => parked?,
    }
    scene.slow.tell("all of them parked").await?;
    scene.client.define_scope(&scene.acme, &scope, &limits(100_000_000)).await?;
    scene.drain().await?;
    scene.slow.tell("opened and drained").await?;
    scene.prune().await?;
    scene.slow.tell("their records pruned").await
}

/// All jobs of one lane cancelled by one call.
pub(crate) async fn cancelled(scene: &mut Scene) -> Result<(), Failure> {
    let lane = Lane::named(LaneName::parse("run")?);
    for first in (0..scene.many).step_by(10_000) {
        let jobs = (first..scene.many.min(first + 10_000)).map(|_| {
            let job = NewJob::of(scene.acme.clone(), &Letter::new(false))?;
            Ok(NewJob { lane: lane.clone(), ..job })
        });
        scene.client.enqueue_many(jobs.collect::<Result<_, Failure>>()?).await?;
    }
    scene.slow.forget().await?;
    let waited = scene.client.cancel_lane(&scene.acme, &Letter::QUEUE, &lane).await?;
    tracing::info!("about {waited} jobs cancelled");
    scene.drain().await?;
    scene.slow.tell("a lane cancelled").await?;
    scene.prune().await?;
    scene.slow.tell("its records pruned").await
}
