//! Among many lanes of a tenant that have work, one that had none comes first, but never keeps the others from their turn.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use postrider_queue::{Enqueued, Lane, LaneName, NewJob, Promoted, QueueClient};

use crate::server::{Server, WORK, config, done, job, tenant, until, work};

fn of(lane: &str) -> NewJob {
    let mut job = job("acme").lane(Lane::named(LaneName::parse(lane).unwrap()));
    job.payload = lane.as_bytes().to_vec();
    job
}

async fn enqueue(client: &QueueClient, job: NewJob) {
    assert!(matches!(client.enqueue(job).await.unwrap(), Enqueued::Created(_)));
}

/// Lanes with much work, one after the other.
async fn fill(client: &QueueClient, lanes: u32, jobs: usize) {
    for n in 0..lanes {
        client.enqueue_many(vec![of(&format!("busy-{n}")); jobs]).await.unwrap();
    }
}

/// Runs `total` jobs, one at a time. `meanwhile` is awaited in each, with the number of jobs that ran before.
async fn run<F: Future<Output = ()> + Send>(
    client: &QueueClient,
    total: usize,
    meanwhile: impl Fn(usize) -> F + Clone + Send + Sync + 'static,
) -> Vec<String> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    let worker = work(client, config(1), move |claimed| {
        let (record, meanwhile) = (Arc::clone(&record), meanwhile.clone());
        async move {
            let before = {
                let mut seen = record.lock().unwrap();
                seen.push(String::from_utf8(claimed.payload).unwrap());
                seen.len() - 1
            };
            if before >= total {
                std::future::pending::<()>().await;
            }
            meanwhile(before).await;
            done()
        }
    });
    until("all have run", || async { (seen.lock().unwrap().len() > total).then_some(()) }).await;
    worker.abort().await;
    let seen = seen.lock().unwrap();
    seen[..total].to_vec()
}

/// How many jobs of busy lanes run between the moment in which `reply` makes one available in a lane that had none, after 20
/// others, and its start.
async fn wait_of_a_newcomer<F: Future<Output = ()> + Send>(
    client: &QueueClient,
    reply: impl Fn() -> F + Clone + Send + Sync + 'static,
) -> usize {
    let order = run(client, 80, move |done| {
        let reply = (done == 19).then(&reply);
        async move {
            if let Some(reply) = reply {
                reply.await;
            }
        }
    })
    .await;
    order[20..].iter().position(|lane| lane == "reply").unwrap_or(usize::MAX)
}

#[tokio::test]
async fn a_lane_that_had_no_work_comes_before_many_that_have() {
    let server = Server::start().await;
    let client = server.client().await;
    fill(&client, 40, 20).await;
    let enqueuer = client.clone();
    let reply = move || {
        let client = enqueuer.clone();
        async move { enqueue(&client, of("reply")).await }
    };
    // The next one was claimed when the end of the one before was told.
    let wait = wait_of_a_newcomer(&client, reply.clone()).await;
    assert!(wait <= 1, "the first of its lane, after {wait}");
    let wait = wait_of_a_newcomer(&client, reply).await;
    assert!(wait <= 1, "another when its lane is known, after {wait}");
    let later = client.enqueue(of("reply").run_at("2100-01-01T00:00:00Z".parse().unwrap())).await.unwrap().id();
    let promoter = client.clone();
    let wait = wait_of_a_newcomer(&client, move || {
        let client = promoter.clone();
        async move { assert_eq!(client.promote(later).await.unwrap(), Promoted::Now) }
    })
    .await;
    assert!(wait <= 1, "one that waited for a time, after {wait}");
}

#[tokio::test]
async fn weights_keep_their_order_whoever_comes() {
    let server = Server::start().await;
    let client = server.client().await;
    fill(&client, 20, 20).await;
    run(&client, 40, |_| async {}).await;
    let weighed = Lane::named(LaneName::parse("busy-3").unwrap());
    client.weigh_lane(&tenant("acme"), &WORK, &weighed, 2).await.unwrap();
    let enqueuer = client.clone();
    let wait = wait_of_a_newcomer(&client, move || {
        let client = enqueuer.clone();
        async move { enqueue(&client, of("reply")).await }
    })
    .await;
    assert!((18..=22).contains(&wait), "after {wait}");
}

#[tokio::test]
async fn new_lanes_however_many_leave_half_to_those_that_wait_for_their_turn() {
    let server = Server::start().await;
    let client = server.client().await;
    fill(&client, 20, 40).await;
    let (enqueuer, number) = (client.clone(), Arc::new(AtomicU32::new(0)));
    // Each job that ends leaves a new lane with another: were these first without a limit, nothing else would ever run.
    let order = run(&client, 400, move |_| {
        let (client, number) = (enqueuer.clone(), number.fetch_add(1, Ordering::Relaxed));
        async move { enqueue(&client, of(&format!("new-{number}"))).await }
    })
    .await;
    let at_once = order.iter().enumerate().filter(|(place, lane)| {
        lane.strip_prefix("new-").is_some_and(|number| place - number.parse::<usize>().unwrap() < 4)
    });
    let at_once = at_once.count();
    assert!((150..=270).contains(&at_once), "{at_once} of 400 ran at once");
    let busy = |jobs: &[String]| jobs.iter().filter(|lane| lane.starts_with("busy-")).count();
    let by_hundred: Vec<usize> = order.chunks(100).map(busy).collect();
    assert!(by_hundred[..2].iter().sum::<usize>() >= 30, "their turn comes: {by_hundred:?}");
}
