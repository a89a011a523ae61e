//! Jobs in bulk, then workers until the last acknowledgement, and what both leave in memory: `enqueue-bulk`, `drain` and
//! `memory` in one life, so that each contestant is looked at in all three under the same conditions.

use std::time::{Duration, Instant};

use postrider_tests::Report;

use crate::bed::{Bed, number, rate};
use crate::contestant::Contestant;
use crate::driver::Driver;
use crate::parcel::Run;
use crate::profile::Profile;

const DEADLINE: Duration = Duration::from_mins(4);
/// How often a drain is looked at when it is about to end; more often would burden Redis.
const LOOK: Duration = Duration::from_millis(10);
/// How often at least.
const SELDOM: Duration = Duration::from_millis(250);

/// One life of so many jobs.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub contestant: Contestant,
    pub jobs: usize,
    pub processes: usize,
    pub concurrency: usize,
    pub tenants: usize,
    pub lanes: usize,
}

impl Plan {
    pub const fn new(contestant: Contestant, jobs: usize) -> Self {
        Self { contestant, jobs, processes: 1, concurrency: 512, tenants: 1, lanes: 0 }
    }
}

/// What it showed.
#[derive(Debug, Clone)]
pub struct Life {
    pub jobs: usize,
    pub bulk_per_s: f64,
    pub drain_per_s: f64,
    pub pending_bytes: f64,
    pub finished_bytes: f64,
    pub lost: usize,
    pub repeated: usize,
    /// Statistics before a phase and at its end.
    bulk: (Profile, Profile),
    drain: (Profile, Profile),
}

impl Life {
    /// Lives it on a Redis of its own.
    pub async fn live(plan: Plan, appendfsync: Option<&str>) -> Self {
        let bed = Bed::start(appendfsync).await;
        Self::live_on(&bed, plan).await
    }

    pub async fn live_on(bed: &Bed, plan: Plan) -> Self {
        let contestant = plan.contestant;
        let jobs = contestant.at_once(plan.jobs);
        let gauge = contestant.gauge(bed).await;
        // Stock goes in rounds, because it cannot have all of it waiting at once; the others have one round.
        let rounds = (plan.jobs / jobs).clamp(1, 4);
        let (mut bulk_took, mut drain_took) = (Duration::ZERO, Duration::ZERO);
        let empty = bed.used_memory().await;
        let (mut pending, mut runs) = (0.0, Vec::new());
        let mut bulk = (Profile::take(bed).await, Profile::take(bed).await);
        let mut drain = bulk.clone();
        for round in 0..rounds {
            bed.quiet().await;
            let before = bed.used_memory().await;
            let flags = [("jobs", jobs), ("first", round * jobs), ("tenants", plan.tenants), ("lanes", plan.lanes)];
            let producer = Driver::start(contestant, "bulk", bed, &flags).await;
            bed.reset_statistics().await;
            bulk.0 = Profile::take(bed).await;
            bulk_took += producer.measure().await;
            bulk.1 = Profile::take(bed).await;
            assert_eq!(gauge.waiting().await, jobs, "{}: every job must wait", contestant.name());
            pending = (bed.used_memory().await - before) / number(jobs);

            let mut workers = Vec::new();
            for _ in 0..plan.processes {
                workers.push(Driver::start(contestant, "work", bed, &[("concurrency", plan.concurrency)]).await);
            }
            bed.rewrite_log().await;
            bed.reset_statistics().await;
            drain.0 = Profile::take(bed).await;
            let started = Instant::now();
            for worker in &mut workers {
                worker.go().await;
            }
            let done = until_finished(&gauge, (round + 1) * jobs).await;
            drain_took += done - started;
            drain.1 = Profile::take(bed).await;
            for worker in workers {
                runs.extend(worker.stop().await);
            }
        }
        let all = rounds * jobs;
        let finished = (bed.used_memory().await - empty) / number(all);
        let (lost, repeated) = tally(all, &runs);
        Self {
            jobs: all,
            bulk_per_s: rate(all, bulk_took),
            drain_per_s: rate(all, drain_took),
            pending_bytes: pending,
            finished_bytes: finished,
            lost,
            repeated,
            bulk,
            drain,
        }
    }

    /// Microseconds of Redis's processor that the drain of a job took.
    pub fn drain_redis_us(&self) -> f64 {
        self.drain.1.processor_us(&self.drain.0) / number(self.jobs)
    }

    pub fn report(&self, scenario: &str, plan: Plan) -> Report {
        let mut report = Report::new(scenario);
        report
            .figure("contestant", plan.contestant.name())
            .figure("jobs", self.jobs)
            .figure("processes", plan.processes)
            .figure("concurrency", plan.concurrency)
            .decimal("bulk_jobs_per_s", self.bulk_per_s)
            .decimal("drained_jobs_per_s", self.drain_per_s)
            .decimal("pending_bytes_per_job", self.pending_bytes)
            .decimal("finished_bytes_per_job", self.finished_bytes)
            .figure("lost", self.lost)
            .figure("repeated", self.repeated);
        let in_round = plan.contestant.at_once(self.jobs);
        for (phase, (before, after)) in [("bulk", &self.bulk), ("drain", &self.drain)] {
            after.report(&mut report, phase, in_round, before);
        }
        report.must("nothing is lost", self.lost == 0).must("nothing ran twice", self.repeated == 0);
        report
    }
}

/// When the queue itself says that so many are finished. While much is left it looks seldom: what looks at Redis takes time of
/// what is measured.
pub async fn until_finished(gauge: &crate::contestant::Gauge, jobs: usize) -> Instant {
    let (begun, before) = (Instant::now(), gauge.finished().await);
    let end = begun + DEADLINE;
    loop {
        let finished = gauge.finished().await;
        let now = Instant::now();
        if finished >= jobs {
            return now;
        }
        assert!(now < end, "{finished} of {jobs} jobs finished in {DEADLINE:?}");
        let left = match finished.saturating_sub(before) {
            0 => LOOK,
            done => (now - begun).mul_f64(number(jobs - finished) / number(done)),
        };
        tokio::time::sleep((left / 2).clamp(LOOK, SELDOM)).await;
    }
}

/// Jobs without a run, and runs beyond the first.
pub fn tally(jobs: usize, runs: &[Run]) -> (usize, usize) {
    let mut seen = vec![0_usize; jobs];
    for run in runs {
        let place = usize::try_from(run.number).unwrap_or(usize::MAX);
        *seen.get_mut(place).expect("a run of a job that was enqueued") += 1;
    }
    let lost = seen.iter().filter(|count| **count == 0).count();
    (lost, seen.iter().map(|count| count.saturating_sub(1)).sum())
}
