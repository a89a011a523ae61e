//! Ten thousand lanes, each under a scope with a cap, against one lane without any.

use chrono::Duration;
use futures::{StreamExt as _, stream};
use postrider_queue::{CapSpec, QueueClient, ScopeLimits, Tenant, Window};
use postrider_shared::clock::Clock;
use postrider_tests::Report;

use crate::bed::Bed;
use crate::contestant::Contestant;
use crate::drive::engine::scope;
use crate::lifecycle::{Life, Plan};

/// Jobs of a lane in the table, in its short form, too: a visit of a lane costs as much as several jobs, so fewer of them make
/// another measurement. What a sending account may have waiting is more, up to a day of its cap.
pub const DEPTH: usize = 10;

/// A life of the engine over so many lanes; 0 is the default lane, without a scope.
pub async fn measure(lanes: usize, jobs: usize, appendfsync: Option<&str>) -> (Life, Plan) {
    let bed = Bed::start(appendfsync).await;
    let plan = Plan { lanes, ..Plan::new(Contestant::Engine, jobs) };
    if lanes > 0 {
        define(&bed.client().await, u32::try_from(lanes).expect("a number of lanes")).await;
    }
    (Life::live_on(&bed, plan).await, plan)
}

/// Every scope has a cap that is counted at each claim and never reached.
pub async fn define(client: &QueueClient, lanes: u32) {
    let tenant = Tenant::parse("bench-0").expect("a tenant's name");
    let starts_at = Clock::system().now() - Duration::hours(1);
    let window = Window { starts_at, ends_at: starts_at + Duration::days(2), used_before: 0 };
    let cap = CapSpec::calendar(1_000_000, vec![window]);
    let limits = ScopeLimits::caps(vec![cap]);
    let mut defined = stream::iter(0..lanes)
        .map(|place| {
            let (tenant, limits) = (&tenant, &limits);
            async move { client.define_scope(tenant, &scope(place), limits).await }
        })
        .buffer_unordered(64);
    while let Some(answer) = defined.next().await {
        answer.expect("define a scope");
    }
}

pub async fn run(lanes: usize, jobs: usize, appendfsync: Option<&str>) -> Report {
    let (one, _) = measure(0, jobs, appendfsync).await;
    let (many, plan) = measure(lanes, jobs, appendfsync).await;
    let mut report = many.report("lanes", plan);
    report
        .figure("lanes", lanes)
        .decimal("drained_per_s_of_one_lane", one.drain_per_s)
        .decimal("drain_redis_us_per_job_of_one_lane", one.drain_redis_us())
        .decimal("ratio", many.drain_per_s / one.drain_per_s);
    report
}
