//! A visit of a lane whose scopes have room takes several jobs at once, and the units for all of them before it has looked
//! at any: what it takes too much goes back in the same call.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use postrider_queue::{
    Cancelled, CapSpec, CapUse, Done, JobState, Lane, LaneName, NewJob, QueueClient, ScopeKey, ScopeLimits, ScopeState,
    Window,
};

use crate::server::{Server, WORK, config, done, job, tenant, until, work};

fn scope() -> ScopeKey {
    ScopeKey::parse("mailbox").unwrap()
}

fn limited() -> NewJob {
    job("acme").lane(Lane::with_scopes(LaneName::parse("out").unwrap(), vec![scope()]))
}

async fn define(client: &QueueClient, limit: u64) {
    let starts_at = "2020-01-01T00:00:00Z".parse().unwrap();
    let ends_at = "2090-01-01T00:00:00Z".parse().unwrap();
    let windows = vec![Window { starts_at, ends_at, used_before: 0 }];
    let limits = ScopeLimits { in_flight: Some(500), ..ScopeLimits::caps(vec![CapSpec::calendar(limit, windows)]) };
    client.define_scope(&tenant("acme"), &scope(), &limits).await.unwrap();
}

async fn state(client: &QueueClient) -> ScopeState {
    client.scope(&tenant("acme"), &scope()).await.unwrap().unwrap()
}

async fn until_reserved(client: &QueueClient, reserved: u64, in_flight: u64) {
    until(&format!("{reserved} units are reserved, {in_flight} of them by runs"), || async {
        let state = state(client).await;
        ((state.reserved, state.in_flight) == (reserved, in_flight)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn units_are_those_of_the_jobs_that_started_and_no_others() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, 200).await;
    let ids = client.enqueue_many((0..60).map(|_| limited()).collect()).await.unwrap();
    for gone in ids.iter().step_by(3) {
        assert_eq!(client.cancel(gone.id()).await.unwrap(), Cancelled::Now);
    }
    let waits = Arc::new(AtomicBool::new(true));
    let told = Arc::clone(&waits);
    let worker = work(&client, config(64), move |_| {
        let told = Arc::clone(&told);
        async move {
            while told.load(Ordering::Acquire) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            done()
        }
    });
    until_reserved(&client, 40, 40).await;
    waits.store(false, Ordering::Release);
    until_reserved(&client, 0, 0).await;
    assert_eq!(client.queue(&WORK).await.unwrap().completed, 40);
    worker.stop().await;
}

#[tokio::test]
async fn units_that_jobs_bring_along_are_not_taken_again() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, 200).await;
    client.enqueue_many((0..30).map(|_| limited()).collect()).await.unwrap();
    let dies = work(&client, config(64).session_ttl(Duration::from_millis(500)), |_| std::future::pending());
    until_reserved(&client, 30, 30).await;
    dies.abort().await;
    until_reserved(&client, 30, 0).await;
    // Among them are now jobs that bring a unit along, and jobs that need one.
    client.enqueue_many((0..30).map(|_| limited()).collect()).await.unwrap();
    let survives = work(&client, config(64), |_| std::future::pending());
    until_reserved(&client, 60, 60).await;
    survives.abort().await;
}

#[tokio::test]
async fn a_scope_with_less_room_than_a_visit_may_take_gives_what_it_has() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, 21).await;
    let ids = client.enqueue_many((0..40).map(|_| limited()).collect()).await.unwrap();
    let worker = work(&client, config(64), |_| std::future::pending());
    until_reserved(&client, 21, 21).await;
    for (place, id) in ids.iter().enumerate() {
        let expected = if place < 21 { JobState::Running } else { JobState::Available };
        assert_eq!(client.get(id.id()).await.unwrap().unwrap().state, expected, "job {place}");
    }
    worker.abort().await;
}

#[tokio::test]
async fn units_that_runs_did_not_use_are_given_back_together() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, 200).await;
    client.enqueue_many((0..40).map(|_| limited()).collect()).await.unwrap();
    let worker = work(&client, config(64), |_| async { Ok(Done { cap: CapUse::NotUsed, ..Done::empty() }) });
    until("all have run", || async { (client.queue(&WORK).await.unwrap().completed == 40).then_some(()) }).await;
    until_reserved(&client, 0, 0).await;
    assert_eq!(state(&client).await.caps[0].used, 0);
    worker.stop().await;
}

/// A scope whose caps count in two calendar windows and a moving one.
async fn define_all_kinds(client: &QueueClient, scope: &ScopeKey, limit: u64) {
    let calendar = |ends_at: &str| {
        let starts_at = "2020-01-01T00:00:00Z".parse().unwrap();
        CapSpec::calendar(limit, vec![Window { starts_at, ends_at: ends_at.parse().unwrap(), used_before: 0 }])
    };
    let moving = CapSpec::moving(limit, Duration::from_hours(24));
    let caps = vec![calendar("2090-01-01T00:00:00Z"), moving, calendar("2091-01-01T00:00:00Z")];
    client.define_scope(&tenant("acme"), scope, &ScopeLimits::caps(caps)).await.unwrap();
}

#[tokio::test]
async fn units_that_are_used_together_count_in_all_windows_of_all_scopes() {
    let server = Server::start().await;
    let client = server.client().await;
    let scopes = ["mailbox", "business"].map(|name| ScopeKey::parse(name).unwrap());
    define_all_kinds(&client, &scopes[0], 60).await;
    define_all_kinds(&client, &scopes[1], 1_000).await;
    let lane = Lane::with_scopes(LaneName::parse("both").unwrap(), scopes.to_vec());
    let started = Arc::new(AtomicUsize::new(0));
    let told = Arc::clone(&started);
    let worker = work(&client, config(64), move |_| {
        let told = Arc::clone(&told);
        async move {
            // All 40 end at the same time, so that a turn has many of them.
            let place = told.fetch_add(1, Ordering::AcqRel);
            while place < 40 && told.load(Ordering::Acquire) < 40 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            done()
        }
    });
    for (more, all) in [(40, 40), (40, 60)] {
        client.enqueue_many((0..more).map(|_| job("acme").lane(lane.clone())).collect()).await.unwrap();
        until(&format!("{all} have run"), || async {
            (client.queue(&WORK).await.unwrap().completed == all).then_some(())
        })
        .await;
        for scope in &scopes {
            until(&format!("{all} units are used"), || async {
                let state = client.scope(&tenant("acme"), scope).await.unwrap().unwrap();
                let used: Vec<u64> = state.caps.iter().map(|cap| cap.used).collect();
                (used == [all; 3] && state.reserved == 0).then_some(())
            })
            .await;
        }
    }
    assert_eq!(client.queue(&WORK).await.unwrap().available, 20, "the others wait for the next window");
    worker.stop().await;
}
