//! A job that is enqueued alone, or with others that share all but payload, takes a shorter way through the script; it must leave
//! what the long way leaves.

use std::{collections::BTreeMap, time::Duration};

use chrono::DateTime;
use postrider_queue::{Enqueued, JobId, JobKind, Lane, LaneName, NewJob, Priority, QueueClient, ScopeKey};
use redis::aio::MultiplexedConnection;

use crate::server::{Server, job, tenant};

/// When a record was enqueued and may run: the only part that depends on the moment.
const TIMES: std::ops::Range<usize> = 21..33;

type Content = BTreeMap<String, Vec<Vec<u8>>>;

async fn ask<T: redis::FromRedisValue>(redis: &mut MultiplexedConnection, command: &str, args: &[&str]) -> T {
    redis::cmd(command).arg(args).query_async(redis).await.unwrap()
}

/// All keys of the shard with what they hold, and when they expire.
async fn content(server: &Server) -> (Content, BTreeMap<String, i64>) {
    let mut redis = server.redis().await;
    let (mut content, mut expiries) = (Content::new(), BTreeMap::new());
    for key in ask::<Vec<String>>(&mut redis, "KEYS", &["{pr:0}*"]).await {
        let held: Vec<Vec<u8>> = match ask::<String>(&mut redis, "TYPE", &[&key]).await.as_str() {
            "list" => ask(&mut redis, "LRANGE", &[&key, "0", "-1"]).await,
            "zset" => ask(&mut redis, "ZRANGE", &[&key, "0", "-1", "WITHSCORES"]).await,
            "hash" => {
                let mut fields: BTreeMap<Vec<u8>, Vec<u8>> = ask(&mut redis, "HGETALL", &[&key]).await;
                for told in ["replid", "caps"] {
                    fields.remove(told.as_bytes()); // which server it is, and since when
                }
                if key.contains(":jobs") {
                    for record in fields.values_mut() {
                        record[TIMES].fill(0);
                    }
                }
                fields.into_iter().flat_map(|(field, value)| [field, value]).collect()
            }
            "string" => vec![ask(&mut redis, "GET", &[&key]).await],
            other => panic!("{key} is a {other}"),
        };
        expiries.insert(key.clone(), ask(&mut redis, "PEXPIRETIME", &[&key]).await);
        content.insert(key, held);
    }
    (content, expiries)
}

/// The same id in a block.
fn in_block(id: JobId, block: u8) -> JobId {
    let mut bytes = *id.as_bytes();
    bytes[2..10].copy_from_slice(&[158, 55, 121, 177, 0, 0, 0, block]);
    JobId::from_bytes(bytes)
}

/// For lanes of two tenants, of two priorities, without and with scopes.
fn jobs(kind: &'static str) -> Vec<NewJob> {
    let limits = ["one", "two"].map(|name| ScopeKey::parse(name).unwrap());
    let lane = Lane::with_scopes(LaneName::parse("limited").unwrap(), limits.into());
    let (plain, limited) = (job("acme"), job("acme").lane(lane));
    let urgent = |job: &NewJob| job.clone().priority(Priority::High);
    let kept = NewJob { keep: Duration::from_hours(24 * 30), ..plain.clone() };
    let mut jobs = vec![plain.clone(), plain.clone(), kept, urgent(&plain), urgent(&limited), limited, job("else")];
    for job in &mut jobs {
        job.kind = JobKind::new(kind);
    }
    jobs
}

fn with_ids(client: &QueueClient, kind: &'static str) -> Vec<NewJob> {
    let place = |(place, job): (usize, NewJob)| {
        let id = client.derived_job_id(&job.tenant, &[kind, &place.to_string()]);
        job.with_id(id)
    };
    let plain = jobs(kind).into_iter().enumerate().map(place);
    let mut last = 0;
    plain
        .flat_map(|job| {
            last += 1;
            let id = in_block(job.id.unwrap(), last / 3);
            [job.clone(), job.with_id(id)]
        })
        .collect()
}

/// A shard that knows lanes and kind, where nothing waits in the lanes and none of the kind ever did, and one worker that left.
async fn prepared(server: &Server) -> QueueClient {
    let client = server.client().await;
    let later = DateTime::from_timestamp(4_102_444_800, 0).unwrap(); // the year 2100
    let mut known = with_ids(&client, "other");
    let elsewhere = job("third").with_id(client.derived_job_id(&tenant("third"), &["echo"]));
    known.push(elsewhere);
    for job in known {
        client.enqueue(job.run_at(later)).await.unwrap();
    }
    let idle = format!("work\0{:016}", 7);
    let _: i64 = ask(&mut server.redis().await, "ZADD", &["{pr:0}:1:idle", "0", &idle]).await;
    client
}

#[tokio::test]
async fn jobs_leave_the_same_whether_they_come_alone_or_together() {
    let (alone, together) = (Server::start().await, Server::start().await);
    let (one_by_one, at_once) = (prepared(&alone).await, prepared(&together).await);
    let jobs = with_ids(&at_once, "echo");
    for job in jobs.clone() {
        assert!(matches!(one_by_one.enqueue(job.clone()).await.unwrap(), Enqueued::Created(_)));
        assert!(matches!(one_by_one.enqueue(job).await.unwrap(), Enqueued::Exists(_)), "a second time");
    }
    at_once.enqueue_many(jobs).await.unwrap();
    let ((left, ends), (expected, expected_ends)) = (content(&alone).await, content(&together).await);
    assert_eq!(left, expected);
    assert!(left.keys().any(|key| key.contains(":index:acme:")) && !left.contains_key("{pr:0}:1:idle"), "{left:?}");
    for (key, end) in ends {
        let near = Duration::from_hours(25).as_millis(); // lists live to the end of a day
        assert!(u128::from(end.abs_diff(expected_ends[&key])) < near, "{key}: {end}, not {}", expected_ends[&key]);
    }
}

/// Each of `jobs` so often, with ids of their own.
fn many_of_each(client: &QueueClient) -> Vec<Vec<NewJob>> {
    let many = [2, 256, 3, 20, 100, 1, 7];
    let alike = |(place, job): (usize, NewJob)| {
        let name = |number: usize| [place.to_string(), number.to_string()];
        let with_id = |number| {
            let id = client.derived_job_id(&job.tenant, &name(number).each_ref().map(String::as_str));
            let id = match place % 3 {
                0 => id,
                2 => in_block(id, 1),
                // A block ends in the midst of a call, or a job has no block.
                _ if number % 70 == 69 => id,
                _ => in_block(id, if number < 50 { 2 } else { 3 }),
            };
            NewJob { payload: format!("{place} {number}").into_bytes(), ..job.clone() }.with_id(id)
        };
        (0..many[place]).map(with_id).collect()
    };
    jobs("echo").into_iter().enumerate().map(alike).collect()
}

#[tokio::test]
async fn jobs_that_share_all_leave_the_same_whether_they_come_together_or_one_by_one() {
    let (apart, together) = (Server::start().await, Server::start().await);
    let (one_by_one, at_once) = (prepared(&apart).await, prepared(&together).await);
    for group in many_of_each(&at_once) {
        for job in group.clone() {
            one_by_one.enqueue(job).await.unwrap();
        }
        // All but the last, and then all of them: a call that meets one again takes the long way.
        let (last, others) = group.split_last().unwrap();
        let answers = at_once.enqueue_many(others.to_vec()).await.unwrap();
        assert!(answers.iter().all(|answer| matches!(answer, Enqueued::Created(_))), "{answers:?}");
        let answers = at_once.enqueue_many(group.clone()).await.unwrap();
        let created: Vec<bool> = answers.iter().map(|answer| matches!(answer, Enqueued::Created(_))).collect();
        assert_eq!(created.iter().filter(|created| **created).count(), 1, "all but the last were there");
        assert_eq!(created.last(), Some(&true), "{last:?}");
        let answers = at_once.enqueue_many(group).await.unwrap();
        assert!(answers.iter().all(|answer| matches!(answer, Enqueued::Exists(_))), "{answers:?}");
    }
    let ((left, ends), (expected, expected_ends)) = (content(&together).await, content(&apart).await);
    assert_eq!(left, expected);
    assert!(!left.contains_key("{pr:0}:1:idle"), "the idle worker was told");
    for (key, end) in ends {
        let near = Duration::from_hours(25).as_millis(); // lists live to the end of a day
        assert!(u128::from(end.abs_diff(expected_ends[&key])) < near, "{key}: {end}, not {}", expected_ends[&key]);
    }
}

#[tokio::test]
async fn lists_live_as_long_as_the_records_they_name() {
    let server = Server::start().await;
    let client = server.client().await;
    let keep = |days: u64| NewJob { keep: Duration::from_hours(24 * days), ..job("acme") };
    let mut redis = server.redis().await;
    for (job, days) in [(keep(1), 31), (keep(30), 60), (keep(7), 60)] {
        client.enqueue(job).await.unwrap();
        for list in ["{pr:0}:1:index:acme:1", "{pr:0}:1:index:acme:*"] {
            let left: u64 = ask(&mut redis, "TTL", &[list]).await;
            let least = Duration::from_hours(24 * days).as_secs();
            assert!((least - 60..=least + 24 * 3600).contains(&left), "{list}: {left} s, {days} days asked");
        }
    }
}
