//! What may go on does not stand still: lanes that wait for several things, jobs aside that nobody looks after, jobs with a unit
//! behind others without.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use postrider_queue::{
    CapSpec, CapUse, Done, JobState, Lane, LaneName, NewJob, QueueClient, RateLimit, RecipientKey, ScopeKey,
    ScopeLimits, Window,
};
use tokio::sync::Semaphore;

use crate::server::{Server, WORK, Worker, config, done, job, tenant, until, until_completed, until_state, work};

const DAY: Duration = Duration::from_hours(24);

fn scope(name: &str) -> ScopeKey {
    ScopeKey::parse(name).unwrap()
}

/// Its payload is the name of its lane.
fn of_lane(name: &str, scopes: &[&str]) -> NewJob {
    let lane = Lane::with_scopes(LaneName::parse(name).unwrap(), scopes.iter().map(|name| scope(name)).collect());
    NewJob { payload: name.into(), ..job("acme").lane(lane) }
}

fn to(recipient: &str, payload: &str) -> NewJob {
    NewJob { payload: payload.into(), ..of_lane("out", &["number"]).recipient(RecipientKey::of(recipient).unwrap()) }
}

async fn define(client: &QueueClient, name: &str, limits: &ScopeLimits) {
    client.define_scope(&tenant("acme"), &scope(name), limits).await.unwrap();
}

fn in_flight(jobs: u32) -> ScopeLimits {
    ScopeLimits { in_flight: Some(jobs), ..ScopeLimits::default() }
}

fn rate(per: Duration) -> ScopeLimits {
    ScopeLimits { rate: Some(RateLimit::even(1, per)), ..ScopeLimits::default() }
}

fn one_each(per: Duration) -> ScopeLimits {
    ScopeLimits { recipient_rate: Some(RateLimit::even(1, per)), ..ScopeLimits::default() }
}

/// Jobs that are `gated` end when a permit comes; those that are `unused` use no unit.
fn gated(client: &QueueClient) -> (Worker, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let worker = work(client, config(8), move |claimed| {
        let name = String::from_utf8(claimed.payload).unwrap();
        let gate = Arc::clone(&opened);
        async move {
            if name.starts_with("gated") {
                gate.acquire().await.unwrap().forget();
            }
            if name.ends_with("unused") { Ok(Done::empty().cap(CapUse::NotUsed)) } else { done() }
        }
    });
    (worker, gate)
}

async fn until_one_waits(client: &QueueClient) {
    until("a lane waits", || async { (client.queue(&WORK).await.unwrap().parked_lanes == 1).then_some(()) }).await;
}

async fn until_aside(client: &QueueClient, jobs: u64) {
    until("jobs are aside", || async {
        let stats = client.queue(&WORK).await.unwrap();
        (stats.stepped_aside == jobs && stats.running == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_lane_that_waits_for_a_time_and_for_another_job_is_woken() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, "account", &rate(Duration::from_secs(1))).await;
    define(&client, "number", &in_flight(1)).await;
    let (worker, gate) = gated(&client);
    let holder = client.enqueue(of_lane("gated", &["number"])).await.unwrap().id();
    until_state(&client, holder, JobState::Running).await;
    let first = client.enqueue(of_lane("first", &["account"])).await.unwrap().id();
    until_state(&client, first, JobState::Completed).await;
    let both = client.enqueue(of_lane("both", &["account", "number"])).await.unwrap().id();
    until_one_waits(&client).await;
    gate.add_permits(1);
    until_state(&client, both, JobState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_lane_that_waits_for_a_time_and_for_a_paused_scope_is_woken_when_that_is_resumed() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, "account", &rate(Duration::from_secs(1))).await;
    define(&client, "number", &in_flight(1)).await;
    client.pause_scope(&tenant("acme"), &scope("number")).await.unwrap();
    let (worker, _) = gated(&client);
    let first = client.enqueue(of_lane("first", &["account"])).await.unwrap().id();
    until_state(&client, first, JobState::Completed).await;
    let both = client.enqueue(of_lane("both", &["account", "number"])).await.unwrap().id();
    until_one_waits(&client).await;
    client.resume_scope(&tenant("acme"), &scope("number")).await.unwrap();
    until_state(&client, both, JobState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_lane_that_waits_for_two_times_is_woken_when_the_later_one_comes_sooner() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, "account", &rate(Duration::from_millis(500))).await;
    define(&client, "number", &rate(DAY * 300)).await;
    let (worker, _) = gated(&client);
    for name in ["account", "number"] {
        let first = client.enqueue(of_lane(name, &[name])).await.unwrap().id();
        until_state(&client, first, JobState::Completed).await;
    }
    let both = client.enqueue(of_lane("both", &["account", "number"])).await.unwrap().id();
    until_one_waits(&client).await;
    define(&client, "number", &ScopeLimits::default()).await;
    until_state(&client, both, JobState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn jobs_aside_go_on_when_no_limit_of_recipients_is_left() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, "number", &one_each(Duration::from_secs(1))).await;
    let (first, _) = gated(&client);
    client.enqueue_many((0..4).map(|n| to("a", &format!("{n}"))).collect()).await.unwrap();
    until_aside(&client, 3).await;
    first.stop().await;
    until("one is on its way back", || async {
        client.tick().await.unwrap();
        (client.queue(&WORK).await.unwrap().stepped_aside == 2).then_some(())
    })
    .await;
    define(&client, "number", &ScopeLimits::default()).await;
    let (second, _) = gated(&client);
    until_completed(&client, 4).await;
    second.stop().await;
}

/// The only unit of the cap is its own: were it behind one without, neither could ever go on.
#[tokio::test]
async fn a_job_with_its_unit_goes_before_one_that_comes_back_from_aside() {
    let server = Server::start().await;
    let client = server.client().await;
    let starts_at = "2020-01-01T00:00:00Z".parse().unwrap();
    let window = Window { starts_at, ends_at: starts_at + chrono::TimeDelta::days(36_500), used_before: 0 };
    let limits = ScopeLimits { caps: vec![CapSpec::calendar(1, vec![window])], ..one_each(Duration::from_secs(2)) };
    define(&client, "number", &limits).await;
    let (first, _) = gated(&client);
    client.enqueue_many(vec![to("y", "1 unused"), to("y", "2 unused")]).await.unwrap();
    until_aside(&client, 1).await;
    let held = client.enqueue(to("x", "gated x")).await.unwrap().id();
    until_state(&client, held, JobState::Running).await;
    first.abort().await;
    let began = Instant::now();
    until("it is taken back, and the time of the other has come", || async {
        client.tick().await.unwrap();
        let running = client.queue(&WORK).await.unwrap().running;
        (running == 0 && began.elapsed() > Duration::from_millis(2_500)).then_some(())
    })
    .await;
    let (second, gate) = gated(&client);
    gate.add_permits(1);
    until_state(&client, held, JobState::Completed).await;
    second.stop().await;
}

#[tokio::test]
async fn many_jobs_for_one_recipient_do_not_delay_another_tenant() {
    let server = Server::start().await;
    let client = server.client().await;
    for name in ["acme", "modest"] {
        client.define_scope(&tenant(name), &scope("number"), &one_each(DAY)).await.unwrap();
    }
    for _ in 0..40 {
        client.enqueue_many(vec![to("a", "flood"); 250]).await.unwrap();
    }
    let id = client.enqueue(NewJob { tenant: tenant("modest"), ..to("b", "modest") }).await.unwrap().id();
    let worker = work(&client, config(256), |_| async { done() });
    until_state(&client, id, JobState::Completed).await;
    let aside = client.queue(&WORK).await.unwrap().stepped_aside;
    assert!(aside < 2_000, "{aside} of the flood came before it");
    worker.stop().await;
}

#[tokio::test]
async fn jobs_aside_learn_within_ten_minutes_that_their_limit_is_no_more() {
    let server = Server::start_at("@2026-03-01 12:00:00").await;
    let client = server.client().await;
    define(&client, "number", &one_each(DAY * 300)).await;
    let (worker, _) = gated(&client);
    client.enqueue_many((0..2).map(|n| to("a", &format!("{n}"))).collect()).await.unwrap();
    until_aside(&client, 1).await;
    define(&client, "number", &ScopeLimits::default()).await;
    server.set_clock("@2026-03-01 12:10:01");
    until_completed(&client, 2).await;
    worker.stop().await;
}
