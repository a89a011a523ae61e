//! How fast one client can hand jobs over; each is in the log when the client hears of it, as `appendfsync` says.

use postrider_tests::Report;

use crate::bed::{Bed, rate};
use crate::contestant::Contestant;
use crate::driver::Driver;
use crate::limit;

/// `one` after the other, or `concurrent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    One,
    Concurrent { in_flight: usize },
}

/// Jobs enqueued a second.
pub async fn measure(contestant: Contestant, way: Way, jobs: usize, appendfsync: Option<&str>) -> f64 {
    let bed = Bed::start(appendfsync).await;
    let (role, in_flight) = match way {
        Way::One => ("one", 1),
        Way::Concurrent { in_flight } => ("concurrent", in_flight),
    };
    if contestant == Contestant::Limit {
        return match way {
            Way::One => limit::one(&bed, jobs).await,
            Way::Concurrent { .. } => limit::concurrent(&bed, jobs).await,
        };
    }
    let producer = Driver::start(contestant, role, &bed, &[("jobs", jobs), ("in-flight", in_flight)]).await;
    let took = producer.measure().await;
    let waiting = contestant.gauge(&bed).await.waiting().await;
    assert_eq!(waiting, jobs, "{}: every accepted job must wait", contestant.name());
    rate(jobs, took)
}

pub async fn run(contestant: Contestant, way: Way, jobs: usize, appendfsync: Option<&str>) -> Report {
    let per_s = measure(contestant, way, jobs, appendfsync).await;
    let mut report = Report::new(if way == Way::One { "enqueue-one" } else { "enqueue-concurrent" });
    report.figure("contestant", contestant.name()).figure("jobs", jobs).decimal("jobs_per_s", per_s);
    report
}
