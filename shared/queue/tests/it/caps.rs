//! Caps: never one too many, and no unit lost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use postrider_queue::{
    Cancelled, CapSpec, CapUse, Done, JobId, JobState, Lane, LaneName, NewJob, QueueClient, ScopeKey, ScopeLimits,
    ScopeState, Stop, Window,
};

use crate::server::{
    PATIENCE, Server, WORK, Worker, config, done, job, tenant, until, until_parked, until_state, work,
};

fn scope() -> ScopeKey {
    ScopeKey::parse("mailbox:a@b").unwrap()
}

fn limited() -> NewJob {
    job("acme").lane(Lane::with_scopes(LaneName::parse("out").unwrap(), vec![scope()]))
}

/// The clock is moved by days, and finished jobs are counted.
fn kept_for_a_year() -> NewJob {
    NewJob { keep: Duration::from_hours(365 * 24), ..limited() }
}

/// One window around the present.
fn limits(limit: u64, used_before: u64) -> ScopeLimits {
    let start: DateTime<Utc> = "2020-01-01T00:00:00Z".parse().unwrap();
    let windows = vec![Window { starts_at: start, ends_at: start + TimeDelta::days(36_500), used_before }];
    ScopeLimits::caps(vec![CapSpec::calendar(limit, windows)])
}

async fn define(client: &QueueClient, limits: &ScopeLimits) {
    client.define_scope(&tenant("acme"), &scope(), limits).await.unwrap();
}

async fn state(client: &QueueClient) -> ScopeState {
    client.scope(&tenant("acme"), &scope()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_cap_is_never_exceeded_by_concurrent_workers_and_used_up() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, &limits(50, 7)).await;
    client.enqueue_many((0..200).map(|_| limited()).collect()).await.unwrap();
    let used = Arc::new(AtomicU64::new(0));
    let mut workers = Vec::new();
    for _ in 0..3 {
        let used = Arc::clone(&used);
        let other = server.client().await;
        workers.push(work(&other, config(16), move |claimed| {
            let used = Arc::clone(&used);
            async move {
                tokio::task::yield_now().await;
                // Every third run fails without using its unit, which must come free again.
                if claimed.attempt == 1 && claimed.id.as_bytes()[5] % 3 == 0 {
                    return crate::server::retry();
                }
                used.fetch_add(1, Ordering::SeqCst);
                done()
            }
        }));
    }
    until("the cap is used up", || async { (used.load(Ordering::SeqCst) >= 43).then_some(()) }).await;
    until_parked(&client).await;
    assert_eq!(used.load(Ordering::SeqCst), 43);
    let seen = state(&client).await;
    assert_eq!((seen.caps[0].used, seen.reserved, seen.waiting_lanes), (50, 0, 1));

    // A higher limit wakes the lane; counters of known windows are kept.
    define(&client, &limits(60, 0)).await;
    until("the new units are used", || async { (used.load(Ordering::SeqCst) >= 53).then_some(()) }).await;
    until_parked(&client).await;
    assert_eq!((used.load(Ordering::SeqCst), state(&client).await.caps[0].used), (53, 60));
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn doubt_stays_charged_and_a_unit_not_used_is_given_back() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, &limits(3, 0)).await;
    let worker = work(&client, config(4), |claimed| async move {
        match claimed.attempt {
            1 => Err(Stop::retry("the answer was lost").with_cap(CapUse::Unknown)),
            2 => Err(Stop::retry("refused before sending")),
            _ => Ok(Done::empty().cap(CapUse::Used(claimed.claimed_at))),
        }
    });
    let id = client.enqueue(limited()).await.unwrap().id();
    until_state(&client, id, JobState::Completed).await;
    let seen = state(&client).await;
    assert_eq!((seen.caps[0].used, seen.reserved), (2, 0), "one in doubt, one used");
    worker.stop().await;
}

#[tokio::test]
async fn an_undefined_scope_allows_nothing_until_it_is_defined() {
    let server = Server::start().await;
    let client = server.client().await;
    let worker = work(&client, config(4), |_| async { done() });
    let id = client.enqueue(limited()).await.unwrap().id();
    until_parked(&client).await;
    assert!(client.scope(&tenant("acme"), &scope()).await.unwrap().is_none());
    assert!(!client.pause_scope(&tenant("acme"), &scope()).await.unwrap());
    assert_eq!(client.get(id).await.unwrap().unwrap().attempt, 0);
    define(&client, &limits(1, 0)).await;
    until_state(&client, id, JobState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_paused_scope_waits_for_its_resume_and_wakes_all_its_lanes() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, &limits(1000, 0)).await;
    assert!(client.pause_scope(&tenant("acme"), &scope()).await.unwrap());
    let jobs = (0..100)
        .map(|n| job("acme").lane(Lane::with_scopes(LaneName::parse(format!("run:{n}")).unwrap(), vec![scope()])));
    client.enqueue_many(jobs.collect()).await.unwrap();
    let worker = work(&client, config(8), |_| async { done() });
    until("all lanes are parked", || async { (state(&client).await.waiting_lanes == 100).then_some(()) }).await;
    assert!(client.resume_scope(&tenant("acme"), &scope()).await.unwrap());
    until("all have run", || async { (client.queue(&WORK).await.unwrap().completed == 100).then_some(()) }).await;
    assert_eq!(state(&client).await.waiting_lanes, 0);
    worker.stop().await;
}

/// A job of the scope, and the worker that holds it, running it without end.
async fn holding_a_job(client: &QueueClient) -> (JobId, Worker) {
    let id = client.enqueue(limited()).await.unwrap().id();
    let (told, mut started) = tokio::sync::mpsc::unbounded_channel();
    let worker = work(client, config(4), move |_| {
        let _ = told.send(());
        std::future::pending()
    });
    started.recv().await.unwrap();
    (id, worker)
}

#[tokio::test]
async fn a_redelivery_waits_for_the_resume_of_its_scope() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, &limits(1000, 0)).await;
    let (id, first) = holding_a_job(&client).await;
    assert!(client.pause_scope(&tenant("acme"), &scope()).await.unwrap());
    first.abort().await;
    assert_eq!(state(&client).await.reserved, 1);
    let second = work(&server.client().await, config(4), |_| async { done() });
    until_parked(&client).await;
    let record = client.get(id).await.unwrap().unwrap();
    assert_eq!((record.state, record.epoch), (JobState::Available, 1));
    assert!(client.resume_scope(&tenant("acme"), &scope()).await.unwrap());
    until_state(&client, id, JobState::Completed).await;
    let seen = state(&client).await;
    assert_eq!((seen.caps[0].used, seen.reserved), (1, 0));
    second.stop().await;
}

#[tokio::test]
async fn a_cap_of_zero_allows_nothing_and_a_huge_one_everything() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, &limits(0, 0)).await;
    let worker = work(&client, config(4), |_| async { done() });
    let id = client.enqueue(limited()).await.unwrap().id();
    until_parked(&client).await;
    define(&client, &limits(1 << 63, 0)).await;
    until_state(&client, id, JobState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_redelivery_inherits_the_reservation() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, &limits(1, 0)).await;
    let (id, first) = holding_a_job(&client).await;
    assert_eq!(state(&client).await.reserved, 1);
    first.abort().await;
    let record = client.get(id).await.unwrap().unwrap();
    assert_eq!((record.state, record.attempt), (JobState::Available, 0), "given back without an attempt");
    let second = work(&server.client().await, config(4), |_| async { done() });
    until_state(&client, id, JobState::Completed).await;
    let seen = state(&client).await;
    assert_eq!((seen.caps[0].used, seen.reserved), (1, 0));
    second.stop().await;
}

/// A worker that holds a job, perhaps with a message under way, and is told to cancel it.
async fn holding_a_cancelled_job(client: &QueueClient) -> (JobId, Worker) {
    define(client, &limits(1, 0)).await;
    let (id, worker) = holding_a_job(client).await;
    assert_eq!(client.cancel(id).await.unwrap(), Cancelled::Requested);
    (id, worker)
}

async fn until_charged(client: &QueueClient, id: JobId) {
    until_state(client, id, JobState::Cancelled).await;
    let seen = state(client).await;
    assert_eq!((seen.caps[0].used, seen.reserved), (1, 0), "nobody knows whether the unit was used");
}

#[tokio::test]
async fn a_cancelled_job_that_a_stopping_worker_still_held_stays_charged() {
    let server = Server::start().await;
    let client = server.client().await;
    let (id, worker) = holding_a_cancelled_job(&client).await;
    worker.handle.close(PATIENCE).await.unwrap();
    until_charged(&client, id).await;
    worker.abort().await;
}

#[tokio::test]
async fn a_cancelled_job_whose_handler_was_dropped_stays_charged() {
    let server = Server::start().await;
    let client = server.client().await;
    let (id, worker) = holding_a_cancelled_job(&client).await;
    worker.abort().await;
    until_charged(&client, id).await;
}

#[tokio::test]
async fn caps_follow_the_calendar_over_midnight_and_a_change_of_the_clocks() {
    // 2026-03-29 in Berlin has 23 hours: midnight is 23:00 UTC before it and 22:00 UTC after it.
    let server = Server::start_at("@2026-03-28 22:59:50").await;
    let client = server.client().await;
    let now: DateTime<Utc> = "2026-03-28T22:59:50Z".parse().unwrap();
    let windows = postrider_queue::calendar_days(chrono_tz::Europe::Berlin, now, 3);
    define(&client, &ScopeLimits::caps(vec![CapSpec::calendar(2, windows)])).await;
    let worker = work(&client, config(4), |_| async { done() });
    let ids: Vec<_> = client
        .enqueue_many((0..8).map(|_| kept_for_a_year()).collect())
        .await
        .unwrap()
        .iter()
        .map(postrider_queue::Enqueued::id)
        .collect();
    let completed = || async { client.queue(&WORK).await.unwrap().completed };
    for (clock, total) in [
        (None, 2),
        (Some("@2026-03-28 23:00:01"), 4),
        (Some("@2026-03-29 21:59:50"), 4),
        (Some("@2026-03-29 22:00:01"), 6),
        (Some("@2026-03-30 22:00:01"), 6), // the windows have run out: nothing more, rather than too much
    ] {
        if let Some(clock) = clock {
            server.set_clock(clock);
        }
        until_parked(&client).await;
        until(&format!("{total} are done at {clock:?}"), || async { (completed().await == total).then_some(()) }).await;
        until_parked(&client).await;
        assert_eq!(completed().await, total, "at {clock:?}");
    }
    let now: DateTime<Utc> = "2026-03-30T22:00:01Z".parse().unwrap();
    let windows = postrider_queue::calendar_days(chrono_tz::Europe::Berlin, now, 3);
    define(&client, &ScopeLimits::caps(vec![CapSpec::calendar(2, windows)])).await;
    for id in ids {
        until_state(&client, id, JobState::Completed).await;
    }
    tokio::time::timeout(Duration::from_secs(30), worker.stop()).await.unwrap();
}

/// A mailbox whose day begins elsewhere for a while, and one that had no cap for a while: the books know what was sent then.
#[tokio::test]
async fn a_window_that_was_not_counted_in_for_a_while_takes_what_the_books_say() {
    let noon: DateTime<Utc> = "2026-03-01T12:00:00Z".parse().unwrap();
    let day = |zone, used_before| {
        let mut windows = postrider_queue::calendar_days(zone, noon, 3);
        windows[0].used_before = used_before;
        ScopeLimits::caps(vec![CapSpec::calendar(4, windows)])
    };
    let utc = |used_before| day(chrono_tz::Tz::UTC, used_before);
    for meanwhile in [day(chrono_tz::Europe::Berlin, 1), ScopeLimits::default()] {
        let server = Server::start_at("@2026-03-01 12:00:00").await;
        let client = server.client().await;
        let worker = work(&client, config(4), |_| async { done() });
        let send = async |jobs: usize, total: u64| {
            client.enqueue_many(vec![kept_for_a_year(); jobs]).await.unwrap();
            until("sent", || async { (client.queue(&WORK).await.unwrap().completed == total).then_some(()) }).await;
        };
        define(&client, &utc(0)).await;
        send(1, 1).await;
        define(&client, &meanwhile).await;
        send(2, 3).await;
        define(&client, &utc(3)).await;
        client.enqueue_many(vec![kept_for_a_year(); 9]).await.unwrap();
        until_parked(&client).await;
        assert_eq!(client.queue(&WORK).await.unwrap().completed, 4, "sent today, of 4");
        worker.stop().await;
    }
}

/// What the books say may be less, because they are written later, or more, where a job runs.
#[tokio::test]
async fn a_window_that_is_counted_in_knows_more_than_the_books() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, &limits(3, 0)).await;
    for used_before in [0, 3] {
        define(&client, &limits(3, used_before)).await;
        assert_eq!(state(&client).await.caps[0].used, 0);
    }
}

#[tokio::test]
async fn a_lane_that_names_a_scope_twice_uses_one_unit_a_job() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, &limits(5, 0)).await;
    let twice = Lane { scopes: vec![scope(), scope()], ..limited().lane };
    client.enqueue_many(vec![limited().lane(twice); 9]).await.unwrap();
    let worker = work(&client, config(4), |_| async { done() });
    until_parked(&client).await;
    until("all have ended", || async { (client.queue(&WORK).await.unwrap().running == 0).then_some(()) }).await;
    assert_eq!((client.queue(&WORK).await.unwrap().completed, state(&client).await.caps[0].used), (5, 5));
    worker.stop().await;
}
