//! Do jobs that wait for a time slow down those that do not? A drain beside many of them, and without any.

use std::time::Instant;

use chrono::Duration;
use postrider_shared::clock::Clock;
use postrider_tests::Report;

use crate::backlog::measure_on;
use crate::bed::{Bed, number, rate};
use crate::parcel::Parcel;

const WAITING: usize = 10_000;
/// So many are enqueued at once.
const SLICE: usize = PARTS as usize;
const PARTS: u32 = 100_000;
/// Their times lie in so many days, from the third hour on: none comes due while this goes on.
const DAYS: u64 = 365;
/// Far more than a job takes, with the log's buffers.
const BYTES: usize = 800;
const IN_A_CALL: usize = 1_000;

pub async fn run(delayed: usize, appendfsync: Option<&str>) -> Report {
    let without = measure_on(&Bed::start(appendfsync).await, WAITING).await;
    let bed = Bed::start(appendfsync).await;
    bed.allow_memory((delayed * BYTES).max(4 << 30)).await;
    let client = bed.client().await;
    let (empty, from) = (bed.used_memory().await, Clock::system().now() + Duration::hours(3));
    let started = Instant::now();
    for first in (0..delayed).step_by(SLICE) {
        let slice = first..(first + SLICE).min(delayed);
        let jobs = slice.map(|place| {
            // Neighbours are far apart, so that every call meets many times.
            let share = u32::try_from(place * 1_009 % SLICE).expect("less than a slice");
            let after = std::time::Duration::from_hours(24 * DAYS) * share / PARTS;
            let number = u32::try_from(place).expect("a number of a job");
            Parcel::new(number, 0).job(1).run_at(from + after)
        });
        client.enqueue_many(jobs.collect()).await.expect("enqueue");
    }
    let (took, bytes) = (started.elapsed(), (bed.used_memory().await - empty) / number(delayed));
    // Those of the next days move from a wide bucket of time into narrow ones first, once.
    while client.tick().await.expect("a step of maintenance").more {}
    bed.quiet().await;
    let growing = measure_on(&bed, WAITING).await;
    look_up(&bed, delayed).await;
    let beside = measure_on(&bed, WAITING).await;
    let mut report = Report::new("delayed");
    report
        .figure("delayed", delayed)
        .decimal("enqueued_per_s", rate(delayed, took))
        .decimal("bytes_per_delayed_job", bytes)
        .decimal("drained_per_s_without", without)
        .decimal("drained_per_s_beside_at_once", growing)
        .decimal("drained_per_s_beside", beside)
        .decimal("ratio", beside / without);
    report
}

/// Redis moves a hash that has doubled to its new place bit by bit, with each call that looks something up in it, and such calls are
/// slower. So many look-ups end that, wherever it stood.
async fn look_up(bed: &Bed, times: usize) {
    let mut redis = bed.redis.connection().await;
    let keys: Vec<String> = redis::cmd("KEYS").arg("*:jobs*").query_async(&mut redis).await.expect("KEYS");
    for key in keys {
        for _ in 0..times.div_ceil(IN_A_CALL) {
            let mut call = redis::cmd("HMGET");
            call.arg(&key).arg(vec!["nothing"; IN_A_CALL]);
            call.query_async::<redis::Value>(&mut redis).await.expect("HMGET");
        }
    }
}
