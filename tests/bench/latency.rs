//! An idle queue, one job every 20 ms, worked off in another process: from before the enqueue to the handler's start.

use std::time::Duration;

use postrider_tests::Report;

use crate::bed::Bed;
use crate::contestant::Contestant;
use crate::driver::Driver;
use crate::lifecycle::{tally, until_finished};
use crate::limit;

const EVERY: Duration = Duration::from_millis(20);

/// Quantiles in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Latency {
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

impl Latency {
    pub fn of(mut microseconds: Vec<i64>) -> Self {
        microseconds.sort_unstable();
        let at = |percent: usize| {
            let rank = (microseconds.len() * percent).div_ceil(100).max(1);
            let found = microseconds.get(rank - 1).and_then(|us| i32::try_from(*us).ok());
            found.map_or(f64::INFINITY, |us| f64::from(us) / 1000.0)
        };
        Self { p50: at(50), p99: at(99), max: at(100) }
    }
}

/// Measures one contestant; `lost` and `repeated` are zero for the limit, which has no jobs.
pub async fn measure(contestant: Contestant, jobs: usize, appendfsync: Option<&str>) -> (Latency, usize, usize) {
    let bed = Bed::start(appendfsync).await;
    if contestant == Contestant::Limit {
        return (limit::latency(&bed, jobs, EVERY).await, 0, 0);
    }
    let mut worker = Driver::start(contestant, "work", &bed, &[("concurrency", 64)]).await;
    worker.go().await;
    let every = usize::try_from(EVERY.as_millis()).unwrap_or(20);
    let producer = Driver::start(contestant, "trickle", &bed, &[("jobs", jobs), ("every-ms", every)]).await;
    producer.measure().await;
    let gauge = contestant.gauge(&bed).await;
    until_finished(&gauge, jobs).await;
    let runs = worker.stop().await;
    let (lost, repeated) = tally(jobs, &runs);
    (Latency::of(runs.iter().map(|run| run.waited_us).collect()), lost, repeated)
}

pub async fn run(contestant: Contestant, jobs: usize, appendfsync: Option<&str>) -> Report {
    let (latency, lost, repeated) = measure(contestant, jobs, appendfsync).await;
    let mut report = Report::new("latency");
    report
        .figure("contestant", contestant.name())
        .figure("jobs", jobs)
        .decimal("p50_ms", latency.p50)
        .decimal("p99_ms", latency.p99)
        .decimal("max_ms", latency.max)
        .figure("lost", lost)
        .figure("repeated", repeated)
        .must("nothing is lost", lost == 0)
        .must("nothing ran twice", repeated == 0);
    report
}
