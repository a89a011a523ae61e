//! Scopes that all say the same are read and written in a shorter way than others. Among others, and met twice in a call, they
//! give what they have, and their books are right.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use postrider_queue::{CapSpec, Lane, LaneName, QueueClient, ScopeKey, ScopeLimits, Window};

use crate::server::{Server, WORK, config, done, job, tenant, until, work};

const LANES: u32 = 96;
const JOBS_EACH: u64 = 5;

/// What the scope of every eighth lane says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Much,
    /// Three more in this window, of which two are used.
    Little,
    Paused,
    TwoAtATime,
    /// Four within a day.
    Moving,
    /// One of two lanes that share a cap of seven.
    Shared,
    Closed,
}

fn says(lane: u32) -> Says {
    [Says::Much, Says::Little, Says::Paused, Says::TwoAtATime, Says::Moving, Says::Shared, Says::Shared, Says::Closed]
        [lane as usize % 8]
}

fn scope(lane: u32) -> ScopeKey {
    let number = if says(lane) == Says::Shared { lane / 8 * 8 + 5 } else { lane };
    ScopeKey::parse(format!("scope-{number}")).unwrap()
}

fn capped(limit: u64, used_before: u64) -> ScopeLimits {
    let starts_at: DateTime<Utc> = "2020-01-01T00:00:00Z".parse().unwrap();
    let window = Window { starts_at, ends_at: starts_at + TimeDelta::days(36_500), used_before };
    ScopeLimits::caps(vec![CapSpec::calendar(limit, vec![window])])
}

fn limits(lane: u32) -> ScopeLimits {
    match says(lane) {
        Says::Much | Says::Closed => capped(100, 0),
        Says::Little => capped(5, 2),
        Says::Paused => ScopeLimits { paused: true, ..capped(100, 0) },
        Says::TwoAtATime => ScopeLimits { in_flight: Some(2), ..capped(100, 0) },
        Says::Moving => ScopeLimits::caps(vec![CapSpec::moving(4, Duration::from_hours(24))]),
        Says::Shared => capped(7, 0),
    }
}

/// How many jobs run under a scope, and what its cap says then.
fn expected(lane: u32) -> (u64, u64) {
    match says(lane) {
        Says::Much | Says::TwoAtATime => (JOBS_EACH, JOBS_EACH),
        Says::Little => (3, 5),
        Says::Paused | Says::Closed => (0, 0),
        Says::Moving => (4, 4),
        Says::Shared => (7, 7),
    }
}

async fn define(client: &QueueClient) {
    for lane in 0..LANES {
        client.define_scope(&tenant("acme"), &scope(lane), &limits(lane)).await.unwrap();
    }
    let acme = tenant("acme");
    let closing = client.close_scopes(client.shard_of(&acme), "a test").await.unwrap();
    for lane in (0..LANES).filter(|lane| says(*lane) != Says::Closed) {
        client.open_scope(&acme, &scope(lane), closing).await.unwrap();
    }
}

#[tokio::test]
async fn scopes_that_are_alike_give_what_they_have_among_others() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client).await;
    let named = |lane| LaneName::parse(format!("lane-{lane}")).unwrap();
    let jobs = (0..LANES).flat_map(|lane| (0..JOBS_EACH).map(move |_| lane));
    let jobs = jobs.map(|lane| job("acme").lane(Lane::with_scopes(named(lane), vec![scope(lane)])));
    client.enqueue_many(jobs.collect()).await.unwrap();

    let ran = Arc::new(Mutex::new(BTreeMap::<String, u64>::new()));
    let noted = Arc::clone(&ran);
    let worker = work(&client, config(512), move |claimed| {
        let of = claimed.lane.scopes.first().map_or_else(String::new, |scope| scope.as_str().to_owned());
        *noted.lock().unwrap().entry(of).or_default() += 1;
        async { done() }
    });
    let scopes: BTreeMap<String, u32> = (0..LANES).map(|lane| (scope(lane).as_str().to_owned(), lane)).collect();
    let all: u64 = scopes.values().map(|lane| expected(*lane).0).sum();
    let ended = async |jobs: u64| {
        let seen = client.queue(&WORK).await.unwrap();
        (seen.completed >= jobs && seen.running == 0).then_some(seen.completed)
    };
    assert_eq!(until("what may run has ended", || ended(all)).await, all);
    // One more call that would claim whatever it may.
    client.enqueue(job("acme")).await.unwrap();
    assert_eq!(until("a job without a scope has ended", || ended(all + 1)).await, all + 1);
    worker.abort().await;

    let ran = ran.lock().unwrap().clone();
    for (name, lane) in scopes {
        let seen = client.scope(&tenant("acme"), &scope(lane)).await.unwrap().unwrap();
        let books = (ran.get(&name).copied().unwrap_or_default(), seen.caps[0].used);
        assert_eq!(books, expected(lane), "{name}: {:?}", says(lane));
        assert_eq!((seen.reserved, seen.in_flight), (0, 0), "{name}: {:?}", says(lane));
    }
}
