//! Does a claim at the head of a long queue cost more? The same drain in front of many and of few waiting jobs; and beside it the
//! least that Redis can do there, because records that lie in no cache cost everybody.

use std::time::{Duration, Instant};

use postrider_queue::Job as _;
use postrider_tests::Report;

use crate::bed::{Bed, rate};
use crate::contestant::{Contestant, Gauge};
use crate::driver::Driver;
use crate::limit;
use crate::parcel::Parcel;

/// Every round drains so much of the waiting jobs and never all: a drain's end is slower whatever waited before it.
pub const ROUNDS: usize = 5;
/// How often a drain is looked at when it is about to end.
const LOOK: Duration = Duration::from_millis(2);

/// What a drain at the head of `waiting` jobs does a second.
pub async fn measure(waiting: usize, appendfsync: Option<&str>) -> f64 {
    measure_on(&Bed::start(appendfsync).await, waiting).await
}

/// The same on a Redis that may have other jobs, which wait for a time.
pub async fn measure_on(bed: &Bed, waiting: usize) -> f64 {
    let client = bed.client().await;
    let gauge = Gauge::Engine(client.clone());
    let earlier = gauge.finished().await;
    client.pause(&Parcel::QUEUE).await.expect("pause the queue");
    let mut worker = Driver::start(Contestant::Engine, "work", bed, &[("concurrency", 512)]).await;
    worker.go().await;
    let share = waiting.min(10_000) * 4 / 5;
    let (mut first, mut took) = (0, Duration::ZERO);
    for _ in 0..ROUNDS {
        let missing = waiting - gauge.waiting().await;
        let flags = [("jobs", missing), ("first", first)];
        Driver::start(Contestant::Engine, "bulk", bed, &flags).await.measure().await;
        first += missing;
        bed.quiet().await;
        let before = gauge.finished().await;
        let started = Instant::now();
        client.resume(&Parcel::QUEUE).await.expect("resume the queue");
        let mut finished = before;
        while finished < before + share {
            assert!(started.elapsed() < Duration::from_mins(2), "a drain that ends");
            let (done, left) = (finished - before, before + share - finished);
            let left = started.elapsed().mul_f64(crate::bed::number(left) / crate::bed::number(done.max(1)));
            tokio::time::sleep((left / 2).clamp(LOOK, 10 * LOOK)).await;
            finished = gauge.finished().await;
        }
        took += started.elapsed().mul_f64(crate::bed::number(share) / crate::bed::number(finished - before));
        client.pause(&Parcel::QUEUE).await.expect("pause the queue");
        let still = || async { (client.queue(&Parcel::QUEUE).await.ok()?.running == 0).then_some(()) };
        postrider_tests::eventually("the claimed jobs to end", still).await;
    }
    let runs = worker.stop().await;
    let finished = gauge.finished().await - earlier;
    let mut numbers: Vec<u32> = runs.iter().map(|run| run.number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!((numbers.len(), runs.len()), (finished, finished), "each finished job ran once");
    rate(ROUNDS * share, took)
}

pub async fn run(waiting: usize, appendfsync: Option<&str>) -> Report {
    let (few, many) = (measure(10_000, appendfsync).await, measure(waiting, appendfsync).await);
    let mut least = [0.0; 2];
    for (per_s, waiting) in least.iter_mut().zip([10_000, waiting]) {
        *per_s = limit::backlog_with_status(&Bed::start(appendfsync).await, waiting).await;
    }
    let mut report = Report::new("backlog");
    report
        .figure("waiting", waiting)
        .decimal("drained_per_s_of_10000", few)
        .decimal("drained_per_s_of_many", many)
        .decimal("ratio", many / few)
        .decimal("ratio_of_the_limit_with_status", least[1] / least[0]);
    report
}
