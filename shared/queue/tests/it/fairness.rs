//! Nobody waits behind somebody else's million.

use std::sync::{Arc, Mutex};

use postrider_queue::{Lane, LaneName};

use crate::server::{Server, config, done, job, until, work};

/// Runs everything, four jobs at a time, and returns the order in which they began by a mark in the payload.
async fn order(server: &Server, jobs: Vec<(&str, &str, usize)>) -> Vec<String> {
    let client = server.client().await;
    let mut total = 0;
    for (tenant, lane, many) in jobs {
        let batch = (0..many)
            .map(|_| {
                let mut job = job(tenant).lane(Lane::named(LaneName::parse(lane).unwrap()));
                job.payload = format!("{tenant}/{lane}").into_bytes();
                job
            })
            .collect();
        client.enqueue_many(batch).await.unwrap();
        total += many;
    }
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    let worker = work(&client, config(4), move |claimed| {
        record.lock().unwrap().push(String::from_utf8(claimed.payload).unwrap());
        async { done() }
    });
    until("all have run", || async { (seen.lock().unwrap().len() == total).then_some(()) }).await;
    worker.stop().await;
    let seen = seen.lock().unwrap();
    seen.clone()
}

#[tokio::test]
async fn a_tenant_with_one_job_does_not_wait_for_a_tenant_with_thousands() {
    let server = Server::start().await;
    let order = order(&server, vec![("big", "default", 2000), ("small", "default", 1)]).await;
    let place = order.iter().position(|mark| mark == "small/default").unwrap();
    assert!(place < 4, "ran as number {place}");
}

#[tokio::test]
async fn a_lane_with_one_job_does_not_wait_for_a_lane_of_the_same_tenant() {
    let server = Server::start().await;
    let order = order(&server, vec![("big", "campaign", 2000), ("big", "reply", 1)]).await;
    let place = order.iter().position(|mark| mark == "big/reply").unwrap();
    assert!(place < 4, "ran as number {place}");
}

#[tokio::test]
async fn tenants_share_evenly_whatever_their_number_of_lanes() {
    let server = Server::start().await;
    let order =
        order(&server, vec![("many", "a", 100), ("many", "b", 100), ("many", "c", 100), ("one", "a", 100)]).await;
    let early = order[..160].iter().filter(|mark| mark.starts_with("one/")).count();
    assert!((70..=90).contains(&early), "{early} of the first 160");
}
