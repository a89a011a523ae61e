//! Limits that concern one recipient: its jobs step aside, the lane goes on, nothing is lost.

mod newcomers;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, Utc};
use postrider_queue::{
    Cancelled, CapSpec, JobId, JobState, Lane, LaneName, NewJob, QueueClient, RateLimit, RecipientKey, ScopeKey,
    ScopeLimits, ScopeState,
};

use crate::server::{Server, WORK, config, done, job, tenant, until, until_state, work};

const DAY: Duration = Duration::from_hours(24);

fn scope() -> ScopeKey {
    ScopeKey::parse("number:1").unwrap()
}

/// A job whose payload says whom it is for, and as what number.
fn to(recipient: &str, number: usize) -> NewJob {
    let lane = Lane::with_scopes(LaneName::parse("out").unwrap(), vec![scope()]);
    let payload = format!("{recipient} {number}").into_bytes();
    NewJob { payload, ..job("acme").lane(lane).recipient(RecipientKey::of(recipient).unwrap()) }
}

fn pair_rate(units: u32, per: Duration) -> ScopeLimits {
    ScopeLimits { recipient_rate: Some(RateLimit::even(units, per)), ..ScopeLimits::default() }
}

fn unique(limit: u64) -> ScopeLimits {
    ScopeLimits::caps(vec![CapSpec::moving(limit, DAY).of_recipients()])
}

async fn define(client: &QueueClient, limits: ScopeLimits) {
    client.define_scope(&tenant("acme"), &scope(), &limits).await.unwrap();
}

async fn state(client: &QueueClient) -> ScopeState {
    client.scope(&tenant("acme"), &scope()).await.unwrap().unwrap()
}

async fn enqueue(client: &QueueClient, jobs: Vec<NewJob>) -> Vec<JobId> {
    client.enqueue_many(jobs).await.unwrap().iter().map(postrider_queue::Enqueued::id).collect()
}

async fn until_completed(client: &QueueClient, jobs: u64) {
    until(&format!("{jobs} are done"), || async {
        (client.queue(&WORK).await.unwrap().completed == jobs).then_some(())
    })
    .await;
}

async fn until_waiting(client: &QueueClient, recipients: u64) {
    until(&format!("{recipients} recipients wait"), || async {
        let stats = client.queue(&WORK).await.unwrap();
        (state(client).await.waiting_recipients == recipients && stats.stepped_aside == stats.available).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_rate_per_recipient_holds_nobody_else_and_keeps_the_order() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, pair_rate(2, Duration::from_secs(1))).await;
    let order = ["a", "a", "a", "a", "b", "a", "b", "c"];
    let mut numbers = BTreeMap::new();
    let jobs = order.map(|recipient| {
        let number = numbers.entry(recipient).or_insert(0);
        *number += 1;
        to(recipient, *number)
    });
    enqueue(&client, jobs.to_vec()).await;
    let seen = Arc::new(Mutex::new(Vec::<(String, DateTime<Utc>)>::new()));
    let mut workers = Vec::new();
    for _ in 0..2 {
        let seen = Arc::clone(&seen);
        workers.push(work(&server.client().await, config(8), move |claimed| {
            seen.lock().unwrap().push((String::from_utf8(claimed.payload).unwrap(), claimed.claimed_at));
            async { done() }
        }));
    }
    until("the others wait", || async { (client.queue(&WORK).await.unwrap().stepped_aside > 0).then_some(()) }).await;
    until_completed(&client, 8).await;
    for worker in workers {
        worker.stop().await;
    }
    let mut seen = seen.lock().unwrap().clone();
    seen.sort_by_key(|(_, at)| *at);
    let of = |recipient: &str| -> Vec<(String, DateTime<Utc>)> {
        seen.iter().filter(|(name, _)| name.starts_with(recipient)).cloned().collect()
    };
    for recipient in ["a", "b", "c"] {
        let names: Vec<_> = of(recipient).into_iter().map(|(name, _)| name).collect();
        let expected: Vec<_> = (1..=numbers[recipient]).map(|number| format!("{recipient} {number}")).collect();
        assert_eq!(names, expected);
        for pair in of(recipient).windows(2) {
            assert!((pair[1].1 - pair[0].1).num_milliseconds() >= 500, "{pair:?}");
        }
    }
    let first = seen[0].1;
    assert!((of("c")[0].1 - first).num_milliseconds() < 400, "the lane goes on: {seen:?}");
    assert!((of("a")[4].1 - first).num_milliseconds() < 6000, "each in its time: {seen:?}");
    assert_eq!(client.queue(&WORK).await.unwrap().stepped_aside, 0);
}

#[tokio::test]
async fn a_newer_job_does_not_overtake_one_whose_time_came_unnoticed() {
    let server = Server::start_at("@2026-03-01 12:00:00").await;
    let client = server.client().await;
    define(&client, pair_rate(1, Duration::from_hours(1))).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let handler = |order: &Arc<Mutex<Vec<String>>>| {
        let order = Arc::clone(order);
        move |claimed: postrider_queue::Claimed| {
            order.lock().unwrap().push(String::from_utf8(claimed.payload).unwrap());
            async { done() }
        }
    };
    let worker = work(&client, config(1), handler(&order));
    enqueue(&client, vec![to("a", 1), to("a", 2)]).await;
    until("the second waits", || async { (client.queue(&WORK).await.unwrap().stepped_aside == 1).then_some(()) }).await;
    until_completed(&client, 1).await;
    worker.stop().await; // so nobody looks at what is due
    server.set_clock("@2026-03-01 13:30:00");
    enqueue(&client, vec![to("a", 3)]).await;
    let worker = work(&client, config(1), handler(&order));
    until("the second has run", || async { (order.lock().unwrap().len() == 2).then_some(()) }).await;
    assert_eq!(*order.lock().unwrap(), ["a 1", "a 2"]);
    until("the third waits", || async { (client.queue(&WORK).await.unwrap().stepped_aside == 1).then_some(()) }).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_cancelled_lane_takes_along_what_stepped_aside_from_it() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, unique(0)).await;
    let worker = work(&client, config(8), |_| async { done() });
    let jobs: Vec<_> = (0..50).map(|n| to(&format!("stranger {}", n % 20), n)).collect();
    let ids = enqueue(&client, jobs.clone()).await;
    until_waiting(&client, 20).await;
    client.cancel_lane(&tenant("acme"), &WORK, &jobs[0].lane).await.unwrap();
    for id in ids {
        until_state(&client, id, JobState::Cancelled).await;
    }
    let stats = client.queue(&WORK).await.unwrap();
    assert_eq!((stats.available, stats.stepped_aside), (0, 0));

    // A newer job is not meant.
    let id = enqueue(&client, vec![to("stranger 1", 51)]).await[0];
    until("it steps aside", || async { (client.queue(&WORK).await.unwrap().stepped_aside == 1).then_some(()) }).await;
    define(&client, unique(1)).await;
    until_state(&client, id, JobState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn what_stepped_aside_is_counted_no_more_when_its_lane_is_forgotten() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, unique(0)).await;
    let worker = work(&client, config(8), |_| async { done() });
    let short = |n| NewJob { keep: Duration::from_secs(1), ..to(&format!("stranger {}", n % 30), n) };
    let ids = enqueue(&client, (0..60).map(short).collect()).await;
    until_waiting(&client, 30).await;
    for id in &ids {
        assert_eq!(client.cancel(*id).await.unwrap(), Cancelled::Now);
    }
    until("their records are gone", || async { client.get(ids[59]).await.unwrap().is_none().then_some(()) }).await;
    until("none is counted", || async { (client.queue(&WORK).await.unwrap().stepped_aside == 0).then_some(()) }).await;
    until("none waits for the cap", || async { (state(&client).await.waiting_recipients == 0).then_some(()) }).await;
    let mut redis = server.redis().await;
    until("the lane is forgotten", || async {
        let lanes: u64 = redis::cmd("HLEN").arg("{pr:0}:1:lanes").query_async(&mut redis.clone()).await.unwrap();
        (lanes == 0).then_some(())
    })
    .await;
    let left: Vec<String> = redis::cmd("KEYS").arg("{pr:0}:1:aside*").query_async(&mut redis).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
    worker.stop().await;
}

#[tokio::test]
async fn what_stepped_aside_is_counted_no_more_when_its_tenant_is_forgotten() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, unique(0)).await;
    let worker = work(&client, config(8), |_| async { done() });
    enqueue(&client, (0..20).map(|n| to(&format!("stranger {}", n % 7), n)).collect()).await;
    until_waiting(&client, 7).await;
    client.pause_tenant(&tenant("acme")).await.unwrap();
    let mut place = Some(postrider_queue::ForgetPlace::default());
    while let Some(from) = place {
        place = client.forget_tenant(&tenant("acme"), &from).await.unwrap().next;
    }
    let stats = client.queue(&WORK).await.unwrap();
    assert_eq!((stats.available, stats.stepped_aside), (0, 0));
    worker.stop().await;
}

#[tokio::test]
async fn newer_jobs_keep_their_order_when_older_ones_are_cancelled_with_their_lane() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, unique(0)).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&order);
    let worker = work(&client, config(1), move |claimed| {
        noted.lock().unwrap().push(String::from_utf8(claimed.payload).unwrap());
        async { done() }
    });
    let cancelled = enqueue(&client, (0..20).map(|n| to("a", n)).collect()).await;
    until_waiting(&client, 1).await;
    client.cancel_lane(&tenant("acme"), &WORK, &to("a", 0).lane).await.unwrap();
    enqueue(&client, (20..38).map(|n| to("a", n)).collect()).await;
    for id in cancelled {
        until_state(&client, id, JobState::Cancelled).await;
    }
    until("the newer ones wait", || async { (client.queue(&WORK).await.unwrap().stepped_aside == 18).then_some(()) })
        .await;
    define(&client, unique(1)).await;
    until_completed(&client, 18).await;
    let expected: Vec<_> = (20..38).map(|n| format!("a {n}")).collect();
    assert_eq!(*order.lock().unwrap(), expected);
    worker.stop().await;
}
