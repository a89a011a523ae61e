//! How many jobs one call takes, so that no call is long.

use std::collections::HashSet;

use crate::{
    job::NewJob,
    lane::Lane,
    name::{QueueName, Tenant},
    priority::Priority,
    script::{MAX_BATCH_BYTES, MAX_ITEMS},
    wire,
};

/// What a lane adds to the time of a call, in plain jobs: a new one has to be named, and to be put into its ring.
const LANE: usize = 2;

/// How many bytes a job adds to a call.
pub(super) fn weight(job: &NewJob) -> usize {
    job.payload.len() + 64
}

/// What a job adds to the time of a call: with a date, a key or a link about twice as much as without.
fn effort(job: &NewJob) -> usize {
    if wire::is_plain(job) { 1 } else { 2 }
}

type Place<'a> = (&'a Tenant, &'a QueueName, &'a Lane, Priority);

/// How many of these jobs, from the first on, one call takes: at least one, if there is one.
pub(super) fn of_one_call<'a>(jobs: impl IntoIterator<Item = &'a NewJob>) -> usize {
    let (mut bytes, mut time, mut many) = (0, 0, 0);
    let mut last: Option<Place<'a>> = None;
    let mut lanes: HashSet<Place<'a>> = HashSet::new();
    for job in jobs {
        bytes += weight(job);
        time += effort(job);
        let place = (&job.tenant, &job.queue, &job.lane, job.priority);
        // Most stand in the lane of the one before.
        if last != Some(place) {
            if lanes.insert(place) && last.is_some() {
                time += LANE;
            }
            last = Some(place);
        }
        if many > 0 && (bytes > MAX_BATCH_BYTES || time > MAX_ITEMS) {
            break;
        }
        many += 1;
    }
    many
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        job::Job,
        name::{JobKind, LaneName},
    };

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Any {}

    impl Job for Any {
        const KIND: JobKind = JobKind::new("any");
        const QUEUE: QueueName = QueueName::new("work");
    }

    fn job(lane: usize) -> NewJob {
        let lane = Lane::named(LaneName::parse(format!("lane-{lane}")).unwrap());
        NewJob::of(Tenant::parse("acme").unwrap(), &Any {}).unwrap().lane(lane)
    }

    #[test]
    fn a_call_takes_fewer_jobs_that_cost_more() {
        let many = |each: fn(usize) -> NewJob| {
            let jobs: Vec<NewJob> = (0..1_000).map(each).collect();
            of_one_call(&jobs)
        };
        assert_eq!(many(|_| job(0)), 256, "plain ones in one lane");
        assert_eq!(many(|n| job(n % 5)), 256 - 4 * LANE, "in a few lanes in turn");
        assert_eq!(many(job), 86, "each in a lane of its own");
        assert_eq!(many(|n| job(0).unique_key(format!("{n}"))), 128, "with keys");
        assert_eq!(many(|_| NewJob { payload: vec![b' '; 100 << 10], ..job(0) }), 10, "a MiB");
        assert_eq!(many(|_| NewJob { payload: vec![b' '; 2 << 20], ..job(0) }), 1, "one that is too large by itself");
        assert_eq!(of_one_call([]), 0);
    }
}
