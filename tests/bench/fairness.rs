//! What a flood does to others: one tenant with a million jobs, and a thousand tenants with one job each, enqueued while the
//! flood is worked off. Each of these is compared with the same on an empty queue, in the same run and with the same workers.
//! The same within a tenant: its flood stands in a thousand lanes, and the small jobs in lanes of their own. Then the shares of
//! tenants with weights, while all of them have work.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::future::join_all;
use postrider_queue::{Lane, LaneName, NewJob, QueueClient, Tenant};
use postrider_tests::Report;
use tokio::task::JoinSet;

use crate::bed::{Bed, number, rate};
use crate::contestant::Contestant;
use crate::driver::Driver;
use crate::lanes::define;
use crate::latency::Latency;
use crate::lifecycle::until_finished;
use crate::parcel::{Parcel, Run};

/// Worker processes, each with so many jobs at a time.
const PROCESSES: usize = 2;
const CONCURRENCY: usize = 64;
/// Between two of the small jobs.
const EVERY: Duration = Duration::from_millis(4);
/// The promise: nobody starts so much later than on an empty queue.
const LATER_MS: f64 = 100.0;
/// The numbers of the small jobs: first those on the empty queue, then those beside the flood. The flood's are below.
const ALONE: u32 = 2_000_000_000;
const BESIDE: u32 = 3_000_000_000;
/// Lanes of the flood, where it has many.
const LANES: u32 = 1_000;
/// Weights of three tenants that all have work, and what they may miss their share by.
const WEIGHTS: [u16; 3] = [1, 2, 5];
const MISSED_BY: f64 = 0.05;

async fn workers(bed: &Bed) -> Vec<Driver> {
    let mut workers = Vec::new();
    for _ in 0..PROCESSES {
        workers.push(Driver::start(Contestant::Engine, "work", bed, &[("concurrency", CONCURRENCY)]).await);
    }
    for worker in &mut workers {
        worker.go().await;
    }
    workers
}

async fn stop(workers: Vec<Driver>) -> Vec<Run> {
    join_all(workers.into_iter().map(Driver::stop)).await.into_iter().flatten().collect()
}

fn small(place: u32) -> Tenant {
    Tenant::parse(format!("small-{place}")).expect("a tenant's name")
}

/// A job of a small tenant.
fn of_a_tenant(number: u32, place: u32) -> NewJob {
    NewJob::of(small(place), &Parcel::sent_now(number)).expect("a job")
}

/// A job of the tenant with the flood, in a lane of its own.
fn of_a_lane(number: u32, place: u32) -> NewJob {
    let lane = LaneName::parse(format!("small-{place}")).expect("a lane's name");
    Parcel::sent_now(number).job(1).lane(Lane::named(lane))
}

/// So many small jobs, one after the other at even distances, sent without waiting for the answer.
async fn trickle(client: &QueueClient, first: u32, many: u32, job: fn(u32, u32) -> NewJob) {
    let mut ticks = tokio::time::interval(EVERY);
    let mut answers = JoinSet::new();
    for place in 0..many {
        ticks.tick().await;
        let job = job(first + place, place);
        let client = client.clone();
        answers.spawn(async move { client.enqueue(job).await.expect("enqueue") });
    }
    answers.join_all().await;
}

/// How long each small job of a phase waited, in microseconds, by its place.
fn waits(runs: &[Run], first: u32, tenants: u32) -> Vec<i64> {
    let of: HashMap<u32, i64> = runs.iter().map(|run| (run.number, run.waited_us)).collect();
    (first..first + tenants).map(|number| *of.get(&number).expect("each small job has run")).collect()
}

fn ms(microseconds: i64) -> f64 {
    i32::try_from(microseconds).map_or(f64::INFINITY, |us| f64::from(us) / 1000.0)
}

fn tell(report: &mut Report, name: &str, waited: Vec<i64>) {
    let latency = Latency::of(waited);
    report
        .decimal(&format!("{name}_p50_ms"), latency.p50)
        .decimal(&format!("{name}_p99_ms"), latency.p99)
        .decimal(&format!("{name}_max_ms"), latency.max);
}

pub async fn run(jobs: usize, tenants: u32, appendfsync: Option<&str>) -> Report {
    let bed = Bed::start(appendfsync).await;
    let client = bed.client().await;
    let gauge = Contestant::Engine.gauge(&bed).await;
    let many = usize::try_from(tenants).unwrap_or(usize::MAX);
    let mut report = Report::new("fairness");
    report.figure("jobs_of_one", jobs).figure("tenants_with_one", tenants).figure("processes", PROCESSES);

    let team = workers(&bed).await;
    trickle(&client, ALONE, tenants, of_a_tenant).await;
    until_finished(&gauge, many).await;
    let alone = waits(&stop(team).await, ALONE, tenants);

    Driver::start(Contestant::Engine, "bulk", &bed, &[("jobs", jobs), ("tenants", 1)]).await.measure().await;
    bed.quiet().await;
    let team = workers(&bed).await;
    let started = Instant::now();
    trickle(&client, BESIDE, tenants, of_a_tenant).await;
    let left = gauge.waiting().await;
    until_finished(&gauge, jobs + 2 * many).await;
    let took = started.elapsed();
    let beside = waits(&stop(team).await, BESIDE, tenants);

    let flood = Tenant::parse("bench-0").expect("a tenant's name");
    let neighbours: Vec<i64> = (0..tenants)
        .zip(&beside)
        .filter_map(|(place, waited)| (client.shard_of(&small(place)) == client.shard_of(&flood)).then_some(*waited))
        .collect();
    let in_lanes = beside_lanes(&mut report, jobs, tenants, appendfsync).await;
    let later_in_lanes: Vec<i64> = alone.iter().zip(&in_lanes).map(|(alone, beside)| beside - alone).collect();
    let latest_in_lanes = later_in_lanes.iter().copied().max().unwrap_or_default();
    let later: Vec<i64> = alone.iter().zip(&beside).map(|(alone, beside)| beside - alone).collect();
    let latest = later.iter().copied().max().unwrap_or_default();
    report
        .decimal("drained_jobs_per_s", rate(jobs + many, took))
        .figure("flood_left_after_the_last_small_job", left)
        .figure("tenants_in_the_shard_of_the_flood", neighbours.len());
    tell(&mut report, "empty_queue", alone);
    tell(&mut report, "beside_the_flood", beside);
    tell(&mut report, "in_the_shard_of_the_flood", neighbours);
    tell(&mut report, "later", later);
    tell(&mut report, "in_lanes_of_the_tenant", in_lanes);
    tell(&mut report, "later_in_lanes", later_in_lanes);
    report
        .must("the flood lasted longer than the small jobs came", left > 0)
        .must("each small job starts within 100 ms of its time on an empty queue", ms(latest) <= LATER_MS)
        .must(
            "so does each small job in a lane of its own beside those of its tenant",
            ms(latest_in_lanes) <= LATER_MS,
        );
    weights(&mut report, appendfsync).await;
    report
}

/// How long small jobs wait, each in a new lane of a tenant that has so many others in `LANES`.
async fn beside_lanes(report: &mut Report, jobs: usize, small: u32, appendfsync: Option<&str>) -> Vec<i64> {
    let bed = Bed::start(appendfsync).await;
    let client = bed.client().await;
    let gauge = Contestant::Engine.gauge(&bed).await;
    define(&client, LANES).await;
    let lanes = usize::try_from(LANES).unwrap_or(usize::MAX);
    let flags = [("jobs", jobs), ("tenants", 1), ("lanes", lanes)];
    Driver::start(Contestant::Engine, "bulk", &bed, &flags).await.measure().await;
    bed.quiet().await;
    let team = workers(&bed).await;
    trickle(&client, BESIDE, small, of_a_lane).await;
    let left = gauge.waiting().await;
    until_finished(&gauge, jobs + usize::try_from(small).unwrap_or(usize::MAX)).await;
    report
        .figure("lanes_of_the_flood", lanes)
        .must("the flood in lanes lasted longer than the small jobs came", left > 0);
    waits(&stop(team).await, BESIDE, small)
}

/// Three tenants of one shard with work enough; what each got until the heaviest has half of its jobs left.
async fn weights(report: &mut Report, appendfsync: Option<&str>) {
    const EACH: u32 = 40_000;
    let bed = Bed::start(appendfsync).await;
    let client = bed.client().await;
    let gauge = Contestant::Engine.gauge(&bed).await;
    let first = Tenant::parse("weighty-0").expect("a tenant's name");
    let mut names = (0..10_000).map(|place| Tenant::parse(format!("weighty-{place}")).expect("a tenant's name"));
    for (place, weight) in (0..).zip(WEIGHTS) {
        let tenant =
            names.find(|name| client.shard_of(name) == client.shard_of(&first)).expect("a tenant of the shard");
        client.weigh_tenant(&tenant, weight).await.expect("weigh");
        let jobs = (0..EACH).map(|n| NewJob::of(tenant.clone(), &Parcel::new(place * EACH + n, 0)).expect("a job"));
        client.enqueue_many(jobs.collect()).await.expect("enqueue");
    }
    bed.quiet().await;
    let team = workers(&bed).await;
    let sum = f64::from(WEIGHTS.iter().sum::<u16>());
    until_finished(&gauge, usize::try_from(EACH).unwrap_or_default() * 4 / 5).await;
    let runs = stop(team).await;
    let total = number(runs.len());
    for (place, weight) in (0..).zip(WEIGHTS) {
        let own = number(runs.iter().filter(|run| run.number / EACH == place).count());
        let (share, wanted) = (own / total, f64::from(weight) / sum);
        report
            .decimal(&format!("weight_{weight}_share_percent"), 100.0 * share)
            .decimal(&format!("weight_{weight}_due_percent"), 100.0 * wanted)
            .must(
                &format!("the tenant of weight {weight} gets its share within 5 %"),
                (share / wanted - 1.0).abs() <= MISSED_BY,
            );
    }
    report.figure("weights_measured_over_jobs", runs.len()).must(
        "nobody ran out of work while weights were measured",
        total * f64::from(WEIGHTS[2]) / sum < f64::from(EACH),
    );
}
