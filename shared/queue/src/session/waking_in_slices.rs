//! A call with more lanes to wake than it has time for.

use std::time::Duration;

use super::{
    Settling,
    in_slices::{NAME, job, open, take},
};
use crate::{
    client::QueueClient,
    job::NewJob,
    lane::Lane,
    leaping::Server,
    name::{LaneName, QueueName, ScopeKey, Tenant},
    record::JobRecord,
    scope::ScopeLimits,
    script,
};

const WORK: QueueName = QueueName::new("work");
/// Lanes that are woken before anybody looks at the clock.
const SLICE: u64 = 8;

fn acme() -> Tenant {
    Tenant::parse("acme").unwrap()
}

fn scope(name: &str) -> ScopeKey {
    ScopeKey::parse(name).unwrap()
}

fn of_lane(name: &str, key: &str) -> NewJob {
    job().lane(Lane::with_scopes(LaneName::parse(name).unwrap(), vec![scope(key)]))
}

async fn define(client: &QueueClient, name: &str, jobs: u32) {
    let limits = ScopeLimits { in_flight: Some(jobs), ..ScopeLimits::default() };
    client.define_scope(&acme(), &scope(name), &limits).await.unwrap();
}

async fn parked(client: &QueueClient) -> u64 {
    client.queue(&WORK).await.unwrap().parked_lanes
}

/// A turn that claims what it can, in as little time as possible.
async fn claim(client: &QueueClient, sequence: u64) -> Vec<JobRecord> {
    take(client, sequence, 256, Vec::new()).await.1.read().unwrap().records
}

#[tokio::test]
async fn a_long_line_is_woken_slice_by_slice_and_in_its_order() {
    let server = Server::start();
    let client = server.client().await;
    open(&client).await;
    define(&client, "number", 1_000).await;
    client.pause_scope(&acme(), &scope("number")).await.unwrap();
    let many = 40;
    for place in 0..many {
        client.enqueue(of_lane(&format!("run:{place}"), "number")).await.unwrap();
        server.leap(10 * (place + 1));
        assert!(claim(&client, place + 1).await.is_empty());
        assert_eq!(parked(&client).await, place + 1);
    }
    let resume = vec![b"acme:number".to_vec(), b"0".to_vec()];
    client.link().call(&script::without_time(&script::PAUSE_SCOPE), 0, &resume).await.unwrap();
    assert_eq!(parked(&client).await, many - SLICE);

    // Nothing but the turns that find them wakes the others.
    let mut names = Vec::new();
    for sequence in many + 1.. {
        let claimed = claim(&client, sequence).await;
        assert!(!claimed.is_empty(), "{} lanes are forgotten", parked(&client).await);
        names.extend(claimed.into_iter().map(|record| record.lane.name.as_str().to_owned()));
        if names.len() as u64 == many {
            break;
        }
    }
    assert_eq!(names, (0..many).map(|place| format!("run:{place}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn lines_for_which_no_time_is_left_are_woken_by_maintenance() {
    let server = Server::start();
    let client = server.client().await;
    open(&client).await;
    let many = 16;
    for place in 0..many {
        define(&client, &place.to_string(), 1).await;
        client.enqueue(of_lane(&format!("runs:{place}"), &place.to_string())).await.unwrap();
    }
    let mut runs = claim(&client, 1).await;
    runs.extend(claim(&client, 2).await);
    assert_eq!(runs.len() as u64, many);
    for place in 0..many {
        client.enqueue(of_lane(&format!("waits:{place}"), &place.to_string())).await.unwrap();
    }
    for sequence in 3..5 {
        assert!(claim(&client, sequence).await.is_empty());
    }
    assert_eq!(parked(&client).await, many);

    // All scopes have room at once.
    let outcomes = runs.iter().map(|run| Settling::bury(run.id, 1, NAME, "as asked".to_owned())).collect();
    take(&client, 5, 0, outcomes).await;
    assert_eq!(parked(&client).await, many - SLICE);
    let mut left = Vec::new();
    for sequence in 6..100 {
        client.tick().await.unwrap();
        left.extend(claim(&client, sequence).await);
        if left.len() as u64 == many {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{} lanes are forgotten", parked(&client).await);
}

/// Heartbeats name the queues that the worker claims from.
async fn busy_for(server: &Server, client: &QueueClient, clock: &mut u64, queues: &[&str], seconds: u64) {
    for _ in 0..seconds {
        *clock += 1_000;
        server.leap(*clock);
        let beat = [&["a-worker", "15000", "1"], queues].concat().iter().map(|word| word.as_bytes().to_vec()).collect();
        client.link().call(&script::RENEW, 0, &beat).await.unwrap();
        client.tick().await.unwrap();
    }
}

/// Which lanes got the one unit, in order, while the worker was too busy for seconds to visit those that were woken.
async fn turns_of_lanes(queues: &[&str]) -> Vec<String> {
    let server = Server::start();
    let client = server.client().await;
    let (mut clock, mut sequence) = (0, 0);
    busy_for(&server, &client, &mut clock, queues, 1).await;
    define(&client, "number", 1).await;
    let mut order = Vec::new();
    let mut running: Option<JobRecord> = None;
    for lane in ["run:0", "run:1", "run:2", "run:3"] {
        client.enqueue_many((0..3).map(|_| of_lane(lane, "number")).collect()).await.unwrap();
        sequence += 1;
        let claimed = take(&client, sequence, 1, Vec::new()).await.1.read().unwrap().records;
        running = claimed.into_iter().next().or(running);
        busy_for(&server, &client, &mut clock, queues, 1).await;
    }
    while let Some(run) = running.take() {
        order.push(run.lane.name.as_str().to_owned());
        // It has no room for more: others keep it busy.
        let outcomes = vec![Settling::bury(run.id, 1, NAME, "as asked".to_owned())];
        take(&client, sequence + 1, 0, outcomes).await;
        busy_for(&server, &client, &mut clock, queues, 12).await;
        sequence += 2;
        running = take(&client, sequence, 8, Vec::new()).await.1.read().unwrap().records.pop();
    }
    order
}

#[tokio::test]
async fn lanes_in_line_keep_their_turns_while_the_workers_of_their_queue_are_busy() {
    let turns =
        [&["run:0"], &["run:0", "run:1", "run:2", "run:3"].repeat(2)[..], &["run:1", "run:2", "run:3"]].concat();
    assert_eq!(turns_of_lanes(&["work"]).await, turns, "one after the other");
    // If the queue seems to be served by nobody, they lose their places, but none gets all.
    let turns = turns_of_lanes(&[]).await;
    assert!(turns[1..].windows(2).take(8).all(|pair| pair[0] != pair[1]), "{turns:?}");
}
