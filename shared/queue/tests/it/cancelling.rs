//! How soon a running handler hears that its job was cancelled.

use std::time::{Duration, Instant};

use futures::StreamExt;
use postrider_queue::{Cancelled, Interrupt, JobState, QueueClient, QueueConfig, Stop, WorkerConfig};
use tokio::sync::mpsc;

use crate::{
    proxy::Proxy,
    server::{PATIENCE, Server, Worker, config, job, until_state, work},
};

/// A worker whose handlers wait to be cancelled, and when each began and heard of it.
fn waiting_to_be_cancelled(client: &QueueClient, config: WorkerConfig) -> (Worker, mpsc::UnboundedReceiver<Instant>) {
    let (told, events) = mpsc::unbounded_channel();
    let worker = work(client, config, move |claimed| {
        let told = told.clone();
        async move {
            let _ = told.send(Instant::now());
            assert_eq!(claimed.lease.lost_or_cancelled().await, Interrupt::Cancelled);
            let _ = told.send(Instant::now());
            Err(Stop::Cancelled)
        }
    });
    (worker, events)
}

#[tokio::test]
async fn a_running_handler_hears_of_a_cancel_within_100_ms() {
    const ROUNDS: usize = 200;
    let server = Server::start().await;
    let client = server.client_with(4).await;
    let other = server.client_with(4).await; // the worker is another process
    let (worker, mut events) = waiting_to_be_cancelled(&other, config(8));
    let mut delays = Vec::new();
    for round in 0..ROUNDS {
        let id = client.enqueue(job(&format!("t{}", round % 16))).await.unwrap().id();
        events.recv().await.unwrap();
        let asked = Instant::now();
        assert_eq!(client.cancel(id).await.unwrap(), Cancelled::Requested);
        delays.push(events.recv().await.unwrap().duration_since(asked));
    }
    delays.sort();
    let at = |percent: usize| delays[(ROUNDS * percent / 100).min(ROUNDS - 1)];
    eprintln!("from cancel to the handler, {ROUNDS} times: p50 {:?}, p99 {:?}, most {:?}", at(50), at(99), at(100));
    assert!(at(99) < Duration::from_millis(100), "p99 {:?}", at(99));
    worker.stop().await;
}

#[tokio::test]
async fn a_cancel_that_overtakes_the_answer_to_the_claim_is_not_forgotten() {
    let server = Server::start().await;
    let client = server.client().await;
    let proxy = Proxy::before(&server).await;
    let far = QueueClient::connect(QueueConfig::new(proxy.url.clone()).shards(1)).await.unwrap();
    // No heartbeat tells of it meanwhile.
    let (worker, mut events) = waiting_to_be_cancelled(&far, config(1).session_ttl(2 * PATIENCE));
    let (mut sink, mut messages) =
        redis::Client::open(proxy.url.clone()).unwrap().get_async_pubsub().await.unwrap().split();
    sink.subscribe("pr:cancel").await.unwrap();
    for _ in 0..5 {
        proxy.hold_answers_of_calls(true);
        let id = client.enqueue(job("acme")).await.unwrap().id();
        until_state(&client, id, JobState::Running).await;
        assert_eq!(client.cancel(id).await.unwrap(), Cancelled::Requested);
        messages.next().await.unwrap(); // and so the worker has been told, too
        proxy.hold_answers_of_calls(false);
        let began = events.recv().await.unwrap();
        let heard = events.recv().await.unwrap().duration_since(began);
        assert!(heard < Duration::from_millis(100), "{heard:?}");
        until_state(&client, id, JobState::Cancelled).await;
    }
    worker.stop().await;
}
