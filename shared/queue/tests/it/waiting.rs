//! Lanes in line for a scope: the oldest first, one unit for one lane, and no unit lost on the way.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use postrider_queue::{Lane, LaneName, NewJob, QueueClient, QueueName, RateLimit, ScopeKey, ScopeLimits, ScopeState};

use crate::server::{Server, WORK, Worker, config, done, job, tenant, until, work};

const OTHER: QueueName = QueueName::new("other");

fn scope(name: &str) -> ScopeKey {
    ScopeKey::parse(name).unwrap()
}

fn lane(name: &str, scopes: &[&str]) -> Lane {
    Lane::with_scopes(LaneName::parse(name).unwrap(), scopes.iter().map(|name| scope(name)).collect())
}

/// A job of a lane that is named in its payload.
fn of_lane(name: &str, scopes: &[&str]) -> NewJob {
    let mut job = job("acme").lane(lane(name, scopes));
    job.payload = name.as_bytes().to_vec();
    job
}

async fn define(client: &QueueClient, name: &str, limits: &ScopeLimits) {
    client.define_scope(&tenant("acme"), &scope(name), limits).await.unwrap();
}

async fn state(client: &QueueClient, name: &str) -> ScopeState {
    client.scope(&tenant("acme"), &scope(name)).await.unwrap().unwrap()
}

fn in_flight(jobs: u32) -> ScopeLimits {
    ScopeLimits { in_flight: Some(jobs), ..ScopeLimits::default() }
}

fn paused() -> ScopeLimits {
    ScopeLimits { paused: true, ..in_flight(1) }
}

async fn until_waiting(client: &QueueClient, name: &str, lanes: u64) {
    until(&format!("{lanes} lanes wait"), || async {
        (state(client, name).await.waiting_lanes == lanes).then_some(())
    })
    .await;
}

async fn until_completed(client: &QueueClient, queue: &QueueName, jobs: u64) {
    until(&format!("{jobs} have run"), || async {
        (client.queue(queue).await.unwrap().completed == jobs).then_some(())
    })
    .await;
}

/// A worker that notes the payloads of what it runs, in order.
fn noting(client: &QueueClient, slots: usize) -> (Worker, Arc<Mutex<Vec<String>>>) {
    let order = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&order);
    let worker = work(client, config(slots), move |claimed| {
        noted.lock().unwrap().push(String::from_utf8(claimed.payload).unwrap());
        async { done() }
    });
    (worker, order)
}

#[tokio::test]
async fn a_lane_with_much_work_does_not_keep_the_scope_from_those_in_line() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, "number", &in_flight(1)).await;
    client.enqueue_many((0..300).map(|_| of_lane("busy", &["number"])).collect()).await.unwrap();
    for place in 0..6 {
        client.enqueue(of_lane(&format!("modest:{place}"), &["number"])).await.unwrap();
    }
    let (worker, order) = noting(&client, 16);
    until_completed(&client, &WORK, 306).await;
    // Whoever had the unit stands behind all who wait for it.
    let last = order.lock().unwrap().iter().rposition(|name| name.starts_with("modest")).unwrap();
    assert!(last <= 9, "the last of them was number {last}");
    worker.stop().await;
}

#[tokio::test]
async fn a_lane_that_is_new_among_many_leaves_its_place_to_the_one_that_was_woken() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, "number", &paused()).await;
    client.enqueue(of_lane("waits", &["number"])).await.unwrap();
    let (worker, _) = noting(&client, 1);
    until_waiting(&client, "number", 1).await;
    worker.stop().await;
    for place in 0..20 {
        client.enqueue(of_lane(&format!("busy:{place}"), &[])).await.unwrap();
    }
    define(&client, "number", &in_flight(1)).await; // it is woken, and nobody comes
    client.enqueue(of_lane("new", &["number"])).await.unwrap();
    let (worker, order) = noting(&client, 1);
    until_completed(&client, &WORK, 22).await;
    assert_eq!(order.lock().unwrap()[0], "waits");
    worker.stop().await;
}

#[tokio::test]
async fn lanes_are_woken_in_the_order_in_which_they_came_and_keep_their_place() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, "number", &paused()).await;
    let (worker, order) = noting(&client, 4);
    for place in 0..40_u64 {
        let jobs = (0..2).map(|_| of_lane(&format!("run:{place}"), &["number"])).collect();
        client.enqueue_many(jobs).await.unwrap();
        until_waiting(&client, "number", place + 1).await;
    }
    define(&client, "number", &in_flight(1)).await;
    until_completed(&client, &WORK, 80).await;
    let mut firsts: Vec<String> = Vec::new();
    for name in order.lock().unwrap().iter() {
        if !firsts.contains(name) {
            firsts.push(name.clone());
        }
    }
    let wanted: Vec<String> = (0..40).map(|place| format!("run:{place}")).collect();
    assert_eq!(firsts, wanted);
    assert_eq!(state(&client, "number").await.in_flight, 0);
    worker.stop().await;
}

#[tokio::test]
async fn a_unit_is_not_lost_on_a_lane_that_is_forgotten() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, "number", &paused()).await;
    let (worker, _) = noting(&client, 4);
    let short = NewJob { keep: Duration::from_secs(1), ..of_lane("forgotten", &["number"]) };
    let forgotten = client.enqueue(short).await.unwrap().id();
    until_waiting(&client, "number", 1).await;
    client.enqueue(of_lane("other", &["number"])).await.unwrap();
    until_waiting(&client, "number", 2).await;
    worker.stop().await;
    define(&client, "number", &in_flight(1)).await; // the first of them is woken, and nobody comes
    assert_eq!(state(&client, "number").await.waiting_lanes, 1);
    client.cancel(forgotten).await.unwrap();
    until("its record is gone", || async {
        client.tick().await.unwrap();
        client.get(forgotten).await.unwrap().is_none().then_some(())
    })
    .await;
    let (worker, _) = noting(&client, 4);
    until_completed(&client, &WORK, 1).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_unit_is_not_lost_on_lanes_that_cannot_use_it() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, "number", &paused()).await;
    define(&client, "shut", &paused()).await;
    let mut both = config(4);
    both.queues.push(OTHER);
    let worker = work(&client, both, |_| async { done() });
    // In line, one after the other: in a queue that is paused, paused itself, waiting for another scope as well, cancelled.
    let in_line = [
        of_lane("elsewhere", &["number"]).queue(OTHER),
        of_lane("held", &["number"]),
        of_lane("twice", &["number", "shut"]),
        of_lane("gone", &["number"]),
        of_lane("last", &["number"]),
    ];
    for (place, job) in (1..).zip(in_line) {
        let cancelled = job.lane.name.as_str() == "gone";
        let id = client.enqueue(job).await.unwrap().id();
        until_waiting(&client, "number", place).await;
        if cancelled {
            client.cancel(id).await.unwrap();
        }
    }
    client.pause(&OTHER).await.unwrap();
    client.pause_lane(&tenant("acme"), &WORK, &lane("held", &["number"])).await.unwrap();
    define(&client, "number", &in_flight(1)).await;
    until_completed(&client, &WORK, 1).await;
    until("none of the others runs", || async { (state(&client, "number").await.in_flight == 0).then_some(()) }).await;

    client.resume(&OTHER).await.unwrap();
    until_completed(&client, &OTHER, 1).await;
    client.resume_lane(&tenant("acme"), &WORK, &lane("held", &["number"])).await.unwrap();
    until_completed(&client, &WORK, 2).await;
    define(&client, "shut", &in_flight(1)).await;
    until_completed(&client, &WORK, 3).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_time_wakes_only_the_first_in_line() {
    let server = Server::start().await;
    let client = server.client().await;
    // The burst of one is taken at once; then one in ten minutes, until the limit is changed.
    let rate = |per| ScopeLimits { rate: Some(RateLimit { units: 1, per, burst: 1 }), ..ScopeLimits::default() };
    define(&client, "number", &rate(Duration::from_mins(10))).await;
    let (worker, order) = noting(&client, 4);
    for place in 0..30 {
        client.enqueue(of_lane(&format!("run:{place:02}"), &["number"])).await.unwrap();
        if place > 0 {
            until_waiting(&client, "number", place).await;
        } else {
            until_completed(&client, &WORK, 1).await;
        }
    }
    worker.stop().await;
    define(&client, "number", &rate(Duration::from_millis(300))).await;
    until("the time comes", || async {
        client.tick().await.unwrap();
        (state(&client, "number").await.waiting_lanes < 29).then_some(())
    })
    .await;
    assert_eq!(state(&client, "number").await.waiting_lanes, 28, "one lane for one unit");
    assert_eq!(client.queue(&WORK).await.unwrap().parked_lanes, 28);

    define(&client, "number", &rate(Duration::from_millis(10))).await;
    let (worker, rest) = noting(&client, 4);
    until_completed(&client, &WORK, 30).await;
    let mut all = order.lock().unwrap().clone();
    all.extend(rest.lock().unwrap().iter().cloned());
    assert!(all.is_sorted(), "{all:?}");
    worker.stop().await;
}

/// Nobody comes for a lane of a queue that no worker serves, and its scope has room all the time.
#[tokio::test]
async fn lanes_of_a_queue_that_nobody_serves_keep_no_other_from_a_unit() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, "number", &paused()).await;
    let mut both = config(4);
    both.queues.push(OTHER);
    let worker = work(&client, both, |_| async { done() });
    for place in 0..6 {
        let job = of_lane(&format!("run:{place}"), &["number"]);
        client.enqueue(if place % 3 == 2 { job } else { job.queue(OTHER) }).await.unwrap();
        until_waiting(&client, "number", place + 1).await;
    }
    worker.stop().await;
    let (worker, order) = noting(&client, 4);
    define(&client, "number", &in_flight(1)).await;
    until_completed(&client, &WORK, 2).await;
    assert_eq!(*order.lock().unwrap(), ["run:2", "run:5"]);
    worker.stop().await;

    let mut other = config(4);
    other.queues = vec![OTHER];
    let worker = work(&client, other, |_| async { done() });
    until_completed(&client, &OTHER, 4).await;
    worker.stop().await;
}
