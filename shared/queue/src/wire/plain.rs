//! Plain jobs: the common case, for which the wire has a shorter form.
//!
//! Most jobs have no unique key, no idempotency key and no time. Those of one call that share lane, kind and policy travel as
//! a group under one head, so that the script does not take each of them apart.

use std::collections::{HashMap, HashSet};

use super::{Tables, keep_class, put_u16};
use crate::{
    id::JobId,
    job::{Links, NewJob},
};

/// What the jobs of a group share: keep class B, lane H, kind H, max attempts H.
type Head = [u8; 7];

/// A job with its place in the call.
type Placed<'a> = (usize, JobId, &'a NewJob);

/// Arguments for `enqueue_plain.lua`, and the place of each job in the order of the answer.
pub(crate) struct Plain {
    pub(crate) args: Vec<Vec<u8>>,
    pub(crate) places: Vec<usize>,
}

/// None if one of the jobs is not plain, or an id comes twice.
pub(crate) fn plain<'a>(jobs: impl Iterator<Item = (&'a NewJob, JobId)> + Clone) -> Option<Plain> {
    let mut given = HashSet::new();
    if !jobs.clone().all(|(job, id)| is_plain(job) && (job.id.is_none() || given.insert(id))) {
        return None;
    }
    let mut tables = Tables::default();
    let mut groups: Vec<(Head, Vec<Placed<'_>>)> = Vec::new();
    let mut known: HashMap<Head, usize> = HashMap::new();
    let mut total = 0;
    for (place, (job, id)) in jobs.enumerate() {
        let mut packed = Vec::with_capacity(8);
        packed.push(keep_class(job));
        put_u16(&mut packed, tables.lane(job));
        put_u16(&mut packed, tables.kind(&job.kind));
        put_u16(&mut packed, usize::try_from(job.max_attempts).unwrap_or(usize::MAX));
        let mut head = Head::default();
        head.copy_from_slice(&packed);
        let group = *known.entry(head).or_insert_with(|| {
            groups.push((head, Vec::new()));
            groups.len() - 1
        });
        groups[group].1.push((place, id, job));
        total += 1;
    }
    let mut plain = Plain { args: Vec::with_capacity(2 * total + groups.len() + 8), places: Vec::with_capacity(total) };
    tables.append_to(&mut plain.args);
    for (head, jobs) in groups {
        let mut head = head.to_vec();
        put_u16(&mut head, jobs.len());
        plain.args.push(head);
        plain.places.extend(jobs.iter().map(|(place, ..)| *place));
        plain.args.extend(jobs.iter().map(|(_, id, _)| id.tail().to_vec()));
        plain.args.extend(jobs.iter().map(|(.., job)| job.payload.clone()));
    }
    Some(plain)
}

/// Names every field, so that whoever adds one decides here.
pub(crate) fn is_plain(job: &NewJob) -> bool {
    let NewJob {
        tenant: _,
        id: _,
        kind: _,
        queue: _,
        lane: _,
        priority: _,
        payload: _,
        run_at,
        max_attempts: _,
        keep: _,
        unique_key,
        unique_for: _,
        idempotency_key,
        links,
        recipient,
    } = job;
    run_at.is_none()
        && unique_key.is_none()
        && idempotency_key.is_none()
        && *links == Links::default()
        && recipient.is_none()
}

#[cfg(test)]
mod tests {
    use super::plain;
    use crate::{
        id::JobId,
        job::NewJob,
        name::{JobKind, QueueName, Tenant},
    };

    fn job(kind: &'static str) -> NewJob {
        NewJob {
            tenant: Tenant::parse("acme").unwrap(),
            id: None,
            kind: JobKind::parse(kind).unwrap(),
            queue: QueueName::new("work"),
            lane: crate::Lane::default(),
            priority: crate::Priority::Normal,
            payload: kind.as_bytes().to_vec(),
            run_at: None,
            max_attempts: 3,
            keep: std::time::Duration::from_secs(1),
            unique_key: None,
            unique_for: crate::job::UniqueFor::default(),
            idempotency_key: None,
            links: crate::job::Links::default(),
            recipient: None,
        }
    }

    #[test]
    fn answers_come_by_group_and_find_their_job_again() {
        let jobs = [job("a"), job("b"), job("a")];
        let ids: Vec<JobId> = (0..3).map(|_| JobId::random(0)).collect();
        let plain = plain(jobs.iter().zip(ids.iter().copied())).unwrap();
        assert_eq!(plain.places, [0, 2, 1]);
        let after_tables: Vec<&[u8]> = plain.args[6..].iter().map(Vec::as_slice).collect();
        let head = plain.args[10].as_slice();
        let expected: [&[u8]; 7] = [ids[0].tail(), ids[2].tail(), b"a", b"a", head, ids[1].tail(), b"b"];
        assert_eq!(after_tables, expected);
    }

    #[test]
    fn what_needs_a_look_at_each_job_is_not_plain() {
        let id = JobId::random(0);
        let unique = NewJob { unique_key: Some("only".into()), ..job("a") };
        assert!(plain([(&unique, id)].into_iter()).is_none());
        let given = NewJob { id: Some(id), ..job("a") };
        assert!(plain([(&given, id)].into_iter()).is_some());
        assert!(plain([(&given, id), (&given, id)].into_iter()).is_none(), "an id twice");
    }
}
