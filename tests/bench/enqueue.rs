//! How fast one client can hand jobs over; each is on disk when the client hears of it, as `appendfsync` says.

use std::time::Instant;

use futures::{StreamExt as _, stream};
use postrider_tests::Report;

use crate::queue::{Bed, echo, rate};

pub async fn one(jobs: usize, appendfsync: Option<&str>) -> Report {
    let bed = Bed::start(appendfsync).await;
    let client = bed.client().await;
    let started = Instant::now();
    for number in 0..jobs {
        client.enqueue(echo(number)).await.expect("enqueue");
    }
    finish("enqueue-one", jobs, started)
}

pub async fn concurrent(jobs: usize, appendfsync: Option<&str>) -> Report {
    let bed = Bed::start(appendfsync).await;
    let client = bed.client().await;
    let started = Instant::now();
    let mut answers = stream::iter(0..jobs).map(|number| client.enqueue(echo(number))).buffer_unordered(64);
    while let Some(answer) = answers.next().await {
        answer.expect("enqueue");
    }
    finish("enqueue-concurrent", jobs, started)
}

pub async fn bulk(jobs: usize, appendfsync: Option<&str>) -> Report {
    let bed = Bed::start(appendfsync).await;
    let client = bed.client().await;
    let batch = (0..jobs).map(echo).collect();
    let started = Instant::now();
    let answers = client.enqueue_many(batch).await.expect("enqueue");
    let mut report = finish("enqueue-bulk", jobs, started);
    report.must("every job is answered", answers.len() == jobs);
    report
}

fn finish(scenario: &str, jobs: usize, started: Instant) -> Report {
    let took = started.elapsed();
    let mut report = Report::new(scenario);
    report.figure("jobs", jobs).decimal("jobs_per_s", rate(jobs, took)).decimal("took_s", took.as_secs_f64());
    report
}
