//! What this Redis can do at most with the same bytes: the yardstick for the other scenarios.

use std::ops::Range;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use postrider_tests::Report;
use redis::AsyncTypedCommands as _;
use redis::aio::MultiplexedConnection;

use crate::backlog;
use crate::bed::{Bed, rate};
use crate::latency::Latency;
use crate::parcel::Parcel;

const BATCH: usize = 256;
/// Calls on their way at a time, as in the engine's bulk.
const CALLS: usize = 4;
const PUSH: &str = "return redis.call('RPUSH', KEYS[1], unpack(ARGV))";
const POP: &str = "return redis.call('LPOP', KEYS[1], ARGV[1])";
/// The same job by job, as anything must that looks at each.
const PUSH_EACH: &str = "for i = 1, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[i]) end";
const POP_EACH: &str = "local all = {} for i = 1, ARGV[1] do all[i] = redis.call('LPOP', KEYS[1]) end return all";
/// The least that a queue with a status record of every job must do at its end, again job by job: take its number, read
/// the record, write another in its place.
const FILL: &str = "for i = 2, #ARGV do \
                      redis.call('HSET', KEYS[2], ARGV[1] + i, ARGV[i]) redis.call('RPUSH', KEYS[1], ARGV[1] + i) \
                    end";
const END_EACH: &str = "local all = {} for i = 1, ARGV[1] do \
                          local id = redis.call('LPOP', KEYS[1]) all[i] = redis.call('HGET', KEYS[2], id) \
                          redis.call('HSET', KEYS[2], id, 'done') \
                        end return all";

fn payload(number: u32) -> String {
    serde_json::to_string(&Parcel::new(number, 0)).expect("JSON")
}

pub async fn run(jobs: usize, appendfsync: Option<&str>) -> Report {
    let bed = Bed::start(appendfsync).await;
    let mut report = Report::new("limit");
    report.decimal("set_per_s", one(&bed, jobs).await).decimal("set_64_in_flight_per_s", concurrent(&bed, jobs).await);
    let (push, pop) = bulk_and_drain(&bed, jobs).await;
    report.decimal("lua_push_per_s", push).decimal("lua_pop_per_s", pop);
    let (push, pop) = push_and_pop(&bed, PUSH, POP, jobs).await;
    report.decimal("lua_pop_with_status_per_s", drain_with_status(&bed, jobs).await);
    report.decimal("lua_push_of_a_list_per_s", push).decimal("lua_pop_of_a_list_per_s", pop);
    report
}

/// Sequential SETs a second.
pub async fn one(bed: &Bed, jobs: usize) -> f64 {
    let (mut redis, payload) = (bed.redis.connection().await, payload(0));
    let started = Instant::now();
    for number in 0..jobs {
        redis.set(format!("k{number}"), &payload).await.expect("SET");
    }
    rate(jobs, started.elapsed())
}

/// SETs a second with 64 in flight.
pub async fn concurrent(bed: &Bed, jobs: usize) -> f64 {
    let (shared, payload) = (bed.redis.connection().await, payload(0));
    let started = Instant::now();
    let mut answers = stream::iter(0..jobs)
        .map(|number| {
            let (mut redis, payload) = (shared.clone(), &payload);
            async move { redis.set(format!("k{number}"), payload).await }
        })
        .buffer_unordered(64);
    while let Some(answer) = answers.next().await {
        answer.expect("SET");
    }
    rate(jobs, started.elapsed())
}

/// Pushes and pops a second, by a script that goes from job to job, a batch a call.
pub async fn bulk_and_drain(bed: &Bed, jobs: usize) -> (f64, f64) {
    push_and_pop(bed, PUSH_EACH, POP_EACH, jobs).await
}

/// Jobs a second that a script takes, reads and marks as done, a batch a call.
pub async fn drain_with_status(bed: &Bed, jobs: usize) -> f64 {
    let redis = bed.redis.connection().await;
    let batches = jobs.div_ceil(BATCH);
    fill(&redis, 0..batches).await;
    bed.rewrite_log().await;
    let mut ending = redis::cmd("EVAL");
    ending.arg(END_EACH).arg(2).arg("numbers").arg("records").arg(BATCH);
    rate(batches * BATCH, calls(&redis, &ending, batches).await)
}

/// The same at the head of so many waiting jobs, in rounds as in [`crate::backlog`]: what a long backlog costs Redis itself.
pub async fn backlog_with_status(bed: &Bed, waiting: usize) -> f64 {
    let (batches, share) = (waiting / BATCH, (waiting / BATCH).min(32));
    let mut filled = 0;
    let mut took = Duration::ZERO;
    let redis = bed.redis.connection().await;
    let mut ending = redis::cmd("EVAL");
    ending.arg(END_EACH).arg(2).arg("numbers").arg("records").arg(BATCH);
    for round in 0..backlog::ROUNDS {
        fill(&redis, filled..batches + round * share).await;
        filled = batches + round * share;
        bed.quiet().await;
        took += calls(&redis, &ending, share).await;
    }
    rate(backlog::ROUNDS * share * BATCH, took)
}

/// Batches of waiting jobs with a record each.
async fn fill(redis: &MultiplexedConnection, batches: Range<usize>) {
    let payloads: Vec<String> = (0..256).map(payload).collect();
    for batch in batches {
        let mut filling = redis::cmd("EVAL");
        filling.arg(FILL).arg(2).arg("numbers").arg("records").arg(batch * BATCH).arg(&payloads);
        calls(redis, &filling, 1).await;
    }
}

async fn push_and_pop(bed: &Bed, push: &str, pop: &str, jobs: usize) -> (f64, f64) {
    let redis = bed.redis.connection().await;
    let batches = jobs.div_ceil(BATCH);
    let payloads: Vec<String> = (0..256).map(payload).collect();
    let mut pushing = redis::cmd("EVAL");
    pushing.arg(push).arg(1).arg("list").arg(payloads);
    let pushed = calls(&redis, &pushing, batches).await;
    bed.rewrite_log().await;
    let mut popping = redis::cmd("EVAL");
    popping.arg(pop).arg(1).arg("list").arg(BATCH);
    let popped = calls(&redis, &popping, batches).await;
    (rate(batches * BATCH, pushed), rate(batches * BATCH, popped))
}

async fn calls(redis: &MultiplexedConnection, command: &redis::Cmd, count: usize) -> Duration {
    let started = Instant::now();
    let mut answers = stream::iter(0..count)
        .map(|_| {
            let mut redis = redis.clone();
            async move { command.query_async::<redis::Value>(&mut redis).await }
        })
        .buffer_unordered(CALLS);
    while let Some(answer) = answers.next().await {
        answer.expect("a script's answer");
    }
    started.elapsed()
}

/// How long a SET takes that comes alone, every few milliseconds.
pub async fn latency(bed: &Bed, jobs: usize, every: Duration) -> Latency {
    let (mut redis, payload) = (bed.redis.connection().await, payload(0));
    let mut ticks = tokio::time::interval(every);
    let mut waits = Vec::with_capacity(jobs);
    for number in 0..jobs {
        ticks.tick().await;
        let started = Instant::now();
        redis.set(format!("k{number}"), &payload).await.expect("SET");
        waits.push(i64::try_from(started.elapsed().as_micros()).unwrap_or(i64::MAX));
    }
    Latency::of(waits)
}
