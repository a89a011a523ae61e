//! Rates and jobs in flight: kept by all workers together, and changed while they run.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use postrider_queue::{
    CapSpec, JobState, Lane, LaneName, NewJob, QueueClient, QueueError, RampStep, RateLimit, ScopeKey, ScopeLimits,
    ScopeState, Window,
};
use tokio::sync::Semaphore;

use crate::server::{PATIENCE, Server, WORK, Worker, config, done, job, tenant, until, until_state, work};

fn scope() -> ScopeKey {
    ScopeKey::parse("number:1").unwrap()
}

fn limited() -> NewJob {
    job("acme").lane(Lane::with_scopes(LaneName::parse("out").unwrap(), vec![scope()]))
}

async fn define(client: &QueueClient, limits: ScopeLimits) {
    client.define_scope(&tenant("acme"), &scope(), &limits).await.unwrap();
}

async fn state(client: &QueueClient) -> ScopeState {
    client.scope(&tenant("acme"), &scope()).await.unwrap().unwrap()
}

fn in_flight(jobs: u32) -> ScopeLimits {
    ScopeLimits { in_flight: Some(jobs), ..ScopeLimits::default() }
}

fn rate(units: u32, per: Duration, burst: u32) -> ScopeLimits {
    ScopeLimits { rate: Some(RateLimit { units, per, burst }), ..ScopeLimits::default() }
}

/// Workers whose handlers wait to be let go.
async fn gated(server: &Server, workers: usize) -> (Vec<Worker>, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let mut all = Vec::new();
    for _ in 0..workers {
        let gate = Arc::clone(&gate);
        all.push(work(&server.client().await, config(16), move |_| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                done()
            }
        }));
    }
    (all, gate)
}

async fn until_running(client: &QueueClient, jobs: u64) {
    until(&format!("{jobs} run and the lane waits"), || async {
        let stats = client.queue(&WORK).await.unwrap();
        (stats.running == jobs && stats.parked_lanes == 1).then_some(())
    })
    .await;
    assert_eq!(state(client).await.in_flight, jobs);
}

#[tokio::test]
async fn jobs_in_flight_are_limited_over_all_workers_and_the_limit_changes_live() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, in_flight(5)).await;
    client.enqueue_many((0..60).map(|_| limited()).collect()).await.unwrap();
    let (workers, gate) = gated(&server, 3).await;
    until_running(&client, 5).await;

    define(&client, in_flight(9)).await; // more at once
    until_running(&client, 9).await;

    define(&client, in_flight(2)).await; // none until fewer run
    gate.add_permits(7);
    until_running(&client, 2).await;
    assert_eq!(client.queue(&WORK).await.unwrap().completed, 7);
    gate.add_permits(1);
    until("one makes place for one", || async { (client.queue(&WORK).await.unwrap().completed == 8).then_some(()) })
        .await;
    until_running(&client, 2).await;

    gate.add_permits(1000);
    until("all have run", || async { (client.queue(&WORK).await.unwrap().completed == 60).then_some(()) }).await;
    assert_eq!((state(&client).await.in_flight, state(&client).await.reserved), (0, 0));
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_job_given_back_makes_place_and_keeps_its_unit() {
    let server = Server::start().await;
    let client = server.client().await;
    let start: DateTime<Utc> = "2020-01-01T00:00:00Z".parse().unwrap();
    let window = Window { starts_at: start, ends_at: start + TimeDelta::days(36_500), used_before: 0 };
    let limits = |in_flight| ScopeLimits {
        in_flight: Some(in_flight),
        ..ScopeLimits::caps(vec![CapSpec::calendar(3, vec![window])])
    };
    define(&client, limits(2)).await;
    let ids = client.enqueue_many((0..4).map(|_| limited()).collect()).await.unwrap();
    let (mut workers, _) = gated(&server, 1).await;
    until_running(&client, 2).await;
    let stopped = workers.remove(0);
    stopped.handle.close(PATIENCE).await.unwrap(); // what it holds is taken from it
    let seen = state(&client).await;
    assert_eq!((seen.in_flight, seen.reserved), (0, 2), "nothing runs, and both may have been sent");

    // The two with a unit are first; only one more fits the cap.
    stopped.abort().await;
    let (workers, gate) = gated(&server, 2).await;
    until_running(&client, 2).await;
    define(&client, limits(4)).await;
    until_running(&client, 3).await;
    assert_eq!(state(&client).await.reserved, 3);
    gate.add_permits(10);
    for id in &ids[..3] {
        until_state(&client, id.id(), JobState::Completed).await;
    }
    let seen = state(&client).await;
    assert_eq!((seen.in_flight, seen.reserved, seen.caps[0].used), (0, 0, 3));
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_rate_is_kept_by_all_workers_together_with_its_burst() {
    let server = Server::start().await;
    let client = server.client().await;
    // One in 10 ms, and 20 at once: 120 starts take a second.
    define(&client, rate(100, Duration::from_secs(1), 20)).await;
    let starts = Arc::new(Mutex::new(Vec::new()));
    client.enqueue_many((0..120).map(|_| limited()).collect()).await.unwrap();
    let mut workers = Vec::new();
    for _ in 0..3 {
        let starts = Arc::clone(&starts);
        workers.push(work(&server.client().await, config(16), move |claimed| {
            starts.lock().unwrap().push(claimed.claimed_at);
            async { done() }
        }));
    }
    until("all have run", || async { (client.queue(&WORK).await.unwrap().completed == 120).then_some(()) }).await;
    for worker in workers {
        worker.stop().await;
    }
    let mut starts = starts.lock().unwrap().clone();
    starts.sort();
    for (from, first) in starts.iter().enumerate() {
        for (to, last) in starts.iter().enumerate().skip(from) {
            let (many, allowed) = (to - from + 1, 20 + (*last - *first).num_milliseconds() / 10);
            assert!(i64::try_from(many).unwrap() <= allowed + 1, "{many} starts from {first} to {last}");
        }
    }
    let took = (starts[119] - starts[0]).num_milliseconds();
    assert!((1000..6000).contains(&took), "{took} ms");
}

#[tokio::test]
async fn a_higher_rate_wakes_and_a_lower_one_holds_at_once() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, rate(1, Duration::from_hours(1), 2)).await;
    client.enqueue_many((0..30).map(|_| limited()).collect()).await.unwrap();
    let ran = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&ran);
    let worker = work(&client, config(4), move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        async { done() }
    });
    let until_parked = || async {
        until("the lane waits for its time", || async {
            let stats = client.queue(&WORK).await.unwrap();
            (stats.parked_lanes == 1 && stats.running == 0).then_some(())
        })
        .await;
    };
    until_parked().await;
    assert_eq!(ran.load(Ordering::SeqCst), 2);

    define(&client, rate(1, Duration::from_hours(1), 5)).await; // a larger burst: three more
    until("three more have run", || async { (ran.load(Ordering::SeqCst) == 5).then_some(()) }).await;
    until_parked().await;
    assert_eq!(ran.load(Ordering::SeqCst), 5);

    // The five stay owed, but are paid for at the new rate: soon there is room for the others.
    define(&client, rate(1000, Duration::from_secs(1), 5)).await;
    until("twenty have run", || async { (ran.load(Ordering::SeqCst) >= 20).then_some(()) }).await;
    define(&client, rate(1, Duration::from_hours(1), 1)).await;
    until("it is held or was too late", || async {
        let stats = client.queue(&WORK).await.unwrap();
        (stats.running == 0 && (stats.parked_lanes == 1 || stats.completed == 30)).then_some(())
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn caps_change_places_and_keep_their_counts() {
    let server = Server::start().await;
    let client = server.client().await;
    let start: DateTime<Utc> = "2020-01-01T00:00:00Z".parse().unwrap();
    let window = |days| Window { starts_at: start, ends_at: start + TimeDelta::days(days), used_before: 0 };
    let (long, longer) = (window(36_500), window(37_000));
    define(&client, ScopeLimits::caps(vec![CapSpec::calendar(4, vec![long])])).await;
    let worker = work(&client, config(4), |_| async { done() });
    let id = client.enqueue(limited()).await.unwrap().id();
    until_state(&client, id, JobState::Completed).await;
    define(&client, ScopeLimits::caps(vec![CapSpec::calendar(9, vec![longer]), CapSpec::calendar(4, vec![long])]))
        .await;
    let id = client.enqueue(limited()).await.unwrap().id();
    until_state(&client, id, JobState::Completed).await;
    let used: Vec<_> = state(&client).await.caps.iter().map(|cap| (cap.limit, cap.used)).collect();
    assert_eq!(used, [(9, 1), (4, 2)]);
    worker.stop().await;
}

#[tokio::test]
async fn limits_that_make_no_sense_are_refused_by_name() {
    let server = Server::start().await;
    let client = server.client().await;
    let second = Duration::from_secs(1);
    let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    let window = |from: &str, till: &str| {
        let window = Window { starts_at: at(from), ends_at: at(till), used_before: 0 };
        ScopeLimits::caps(vec![CapSpec::calendar(1, vec![window])])
    };
    let step = |from: &str| RampStep { from: at(from), limit: 1 };
    let ramp = |steps: Vec<RampStep>| ScopeLimits::caps(vec![CapSpec::calendar(1, Vec::new()).ramp(steps)]);
    let refused = [
        (rate(0, second, 1), "rate limit: 0 units"),
        (rate(1, Duration::ZERO, 1), "rate limit: its time"),
        (rate(1, Duration::MAX, 1), "rate limit: its time"),
        (rate(1_000_001, second, 1), "rate limit: more than one unit in a microsecond"),
        (rate(1, second, 0), "rate limit: a burst of 0"),
        (rate(1, second, u32::MAX), "rate limit: a burst that stands for more than 366 days"),
        (in_flight(0), "scope limits: 0 jobs in flight"),
        (ScopeLimits::caps(vec![CapSpec::calendar(1, Vec::new()); 9]), "scope limits: more than 8 caps"),
        (window("0001-01-01T00:00:00Z", "0001-01-02T00:00:00Z"), "cap: a window is not between"),
        (window("9999-12-31T00:00:00Z", "+10000-01-01T00:00:00Z"), "cap: a window is not between"),
        (window("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"), "cap: a window ends before it starts"),
        (window("2026-01-01T00:00:00.0001Z", "2026-01-01T00:00:00.0002Z"), "cap: a window ends before it starts"),
        (ramp(vec![step("2026-01-02T00:00:00Z"), step("2026-01-01T00:00:00Z")]), "cap: the steps of a ramp are out"),
        (ramp(vec![step("0001-01-01T00:00:00Z")]), "cap: a step of a ramp"),
    ];
    for (limits, reason) in refused {
        let error = client.define_scope(&tenant("acme"), &scope(), &limits).await.unwrap_err();
        assert!(matches!(error, QueueError::Invalid { .. }), "{error}");
        assert!(error.to_string().starts_with(reason), "{error}");
    }
    assert!(client.scope(&tenant("acme"), &scope()).await.unwrap().is_none());

    // The largest that do make sense are kept to the unit.
    let largest = (1 << 48) - 1;
    let used_before = largest - 1;
    let start = at("1970-01-01T00:00:00Z");
    let window = Window { starts_at: start, ends_at: at("9999-12-31T23:59:59Z"), used_before };
    let fast = RateLimit { units: 1_000_000, per: second, burst: u32::MAX };
    define(
        &client,
        ScopeLimits {
            rate: Some(fast),
            in_flight: Some(u32::MAX - 1),
            ..ScopeLimits::caps(vec![CapSpec::calendar(u64::MAX, vec![window])])
        },
    )
    .await;
    client.enqueue_many((0..2).map(|_| limited()).collect()).await.unwrap();
    let worker = work(&client, config(4), |_| async { done() });
    until("one of two has run", || async {
        let stats = client.queue(&WORK).await.unwrap();
        (stats.completed == 1 && stats.parked_lanes == 1).then_some(())
    })
    .await;
    assert_eq!((state(&client).await.caps[0].used, state(&client).await.caps[0].limit), (largest, largest));
    worker.stop().await;
}
