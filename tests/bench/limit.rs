//! What this Redis can do at most with the same bytes: the yardstick for the other scenarios.

use std::time::Instant;

use futures::{StreamExt as _, stream};
use postrider_tests::Report;
use redis::AsyncTypedCommands as _;

use crate::queue::{Bed, TEXT, rate};

const BATCH: usize = 256;
const PUSH: &str = "return redis.call('RPUSH', KEYS[1], unpack(ARGV))";
const POP: &str = "return #redis.call('LPOP', KEYS[1], ARGV[1])";

pub async fn run(jobs: usize, appendfsync: Option<&str>) -> Report {
    let bed = Bed::start(appendfsync).await;
    let mut redis = bed.redis.connection().await;
    let mut report = Report::new("limit");

    let started = Instant::now();
    for number in 0..jobs {
        redis.set(format!("k{number}"), TEXT).await.expect("SET");
    }
    report.decimal("set_per_s", rate(jobs, started.elapsed()));

    let started = Instant::now();
    let shared = redis.clone();
    let mut answers = stream::iter(0..jobs)
        .map(|number| {
            let mut redis = shared.clone();
            async move { redis.set(format!("k{number}"), TEXT).await }
        })
        .buffer_unordered(64);
    while let Some(answer) = answers.next().await {
        answer.expect("SET");
    }
    report.decimal("set_64_in_flight_per_s", rate(jobs, started.elapsed()));

    let batches = jobs.div_ceil(BATCH);
    let started = Instant::now();
    for _ in 0..batches {
        let mut push = redis::cmd("EVAL");
        push.arg(PUSH).arg(1).arg("list").arg(vec![TEXT; BATCH]);
        push.query_async::<usize>(&mut redis).await.expect("push");
    }
    report.decimal("lua_push_per_s", rate(batches * BATCH, started.elapsed()));

    let started = Instant::now();
    for _ in 0..batches {
        let mut pop = redis::cmd("EVAL");
        pop.arg(POP).arg(1).arg("list").arg(BATCH);
        pop.query_async::<usize>(&mut redis).await.expect("pop");
    }
    report.decimal("lua_pop_per_s", rate(batches * BATCH, started.elapsed()));
    report
}
