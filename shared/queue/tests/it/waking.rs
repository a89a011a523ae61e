//! Waking: work reaches an idle worker at once, one worker per job, whatever connections break.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{FutureExt, StreamExt};
use postrider_queue::JobState;
use tokio::sync::Semaphore;

use crate::server::{Server, Worker, config, done, job, until, until_state, work};

const IDLE: &str = "{pr:0}:1:idle";

async fn idle(redis: &redis::aio::MultiplexedConnection, many: usize) {
    let redis = redis.clone();
    until("workers are idle", || {
        let mut redis = redis.clone();
        async move {
            let idle: usize = redis::cmd("ZCARD").arg(IDLE).query_async(&mut redis).await.unwrap();
            (idle == many).then_some(())
        }
    })
    .await;
}

/// Workers with one slot whose handlers count themselves and wait to be let go.
async fn holding_workers(server: &Server, many: usize) -> (Vec<Worker>, Arc<AtomicUsize>, Arc<Semaphore>) {
    let (started, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let mut workers = Vec::new();
    for _ in 0..many {
        let client = server.client().await; // a client each, like processes
        let (started, gate) = (Arc::clone(&started), Arc::clone(&gate));
        workers.push(work(&client, config(1), move |_| {
            started.fetch_add(1, Ordering::SeqCst);
            let gate = Arc::clone(&gate);
            async move {
                let _ = gate.acquire().await;
                done()
            }
        }));
    }
    (workers, started, gate)
}

#[tokio::test]
async fn one_job_is_told_to_one_worker() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut redis = server.redis().await;
    let subscriber = redis::Client::open(server.url()).unwrap();
    let mut subscription = subscriber.get_async_pubsub().await.unwrap();
    for number in 1..=4 {
        let name = format!("{number:016}");
        if number > 1 {
            subscription.subscribe(format!("pr:worker:{name}")).await.unwrap(); // the first one's process has died
        }
        let entry = format!("work\0{name}");
        let _: () = redis::cmd("ZADD").arg(IDLE).arg(0).arg(entry).query_async(&mut redis).await.unwrap();
    }
    client.enqueue_many(vec![job("acme"), job("acme")]).await.unwrap();
    client.enqueue(job("acme")).await.unwrap(); // work stands already: whoever was told sees it
    let left: usize = redis::cmd("ZCARD").arg(IDLE).query_async(&mut redis).await.unwrap();
    assert_eq!(left, 2, "the dead one is passed over, the second told");
    let mut messages = subscription.on_message();
    let told = messages.next().await.unwrap();
    assert_eq!(told.get_channel_name(), format!("pr:worker:{:016}", 2));
    assert!(messages.next().now_or_never().is_none());
}

#[tokio::test]
async fn one_job_wakes_one_of_several_idle_workers() {
    let server = Server::start().await;
    let client = server.client().await;
    let redis = server.redis().await;
    let (workers, started, gate) = holding_workers(&server, 4).await;
    idle(&redis, 4).await;
    for busy in 1..=4 {
        client.enqueue(job("acme")).await.unwrap();
        until("it has started", || async { (started.load(Ordering::SeqCst) == busy).then_some(()) }).await;
        idle(&redis, 4 - busy).await;
    }
    gate.add_permits(4);
    idle(&redis, 4).await;
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn many_jobs_wake_as_many_workers_as_they_need() {
    let server = Server::start().await;
    let client = server.client().await;
    let redis = server.redis().await;
    let (workers, started, gate) = holding_workers(&server, 4).await;
    idle(&redis, 4).await;
    let begun = Instant::now();
    client.enqueue_many((0..4).map(|_| job("acme")).collect()).await.unwrap();
    until("all have started", || async { (started.load(Ordering::SeqCst) == 4).then_some(()) }).await;
    eprintln!("four workers woken in {:?}", begun.elapsed());
    gate.add_permits(4);
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_wake_that_is_swallowed_goes_to_the_next() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut redis = server.redis().await;
    // Somebody who listens but never reacts, like a process that was stopped, and is told first.
    let deaf = "0000000000000000";
    let subscriber = redis::Client::open(server.url()).unwrap();
    let mut subscription = subscriber.get_async_pubsub().await.unwrap();
    subscription.subscribe(format!("pr:worker:{deaf}")).await.unwrap();
    let (workers, started, gate) = holding_workers(&server, 1).await;
    idle(&redis, 1).await;
    let entry = format!("work\0{deaf}");
    let _: () = redis::cmd("ZADD").arg(IDLE).arg(0).arg(entry).query_async(&mut redis).await.unwrap();
    let begun = Instant::now();
    client.enqueue(job("acme")).await.unwrap();
    until("it has started", || async { (started.load(Ordering::SeqCst) == 1).then_some(()) }).await;
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(2), "took {took:?}");
    let heard = tokio::time::timeout(Duration::from_secs(5), subscription.on_message().next()).await;
    assert!(matches!(heard, Ok(Some(_))), "the deaf one was told first");
    gate.add_permits(1);
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_wake_on_a_connection_that_breaks_is_not_lost() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut redis = server.redis().await;
    let worker_client = server.client().await;
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    let worker = work(&worker_client, config(4), move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        async { done() }
    });
    for round in 1..=10 {
        idle(&redis, 1).await;
        let kill = redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub").to_owned();
        // Before, while and after the job arrives.
        let begun = Instant::now();
        if round % 2 == 0 {
            let _: usize = kill.query_async(&mut redis).await.unwrap();
            client.enqueue(job("acme")).await.unwrap();
        } else {
            let (killed, enqueued) = tokio::join!(kill.query_async::<usize>(&mut redis), client.enqueue(job("acme")));
            killed.unwrap();
            enqueued.unwrap();
        }
        until("it ran", || async { (runs.load(Ordering::SeqCst) == round).then_some(()) }).await;
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(3), "round {round} took {took:?}");
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_without_room_passes_the_wake_on() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut redis = server.redis().await;
    let (workers, started, gate) = holding_workers(&server, 2).await;
    idle(&redis, 2).await;
    let entries: Vec<Vec<u8>> = redis::cmd("ZRANGE").arg(IDLE).arg(0).arg(-1).query_async(&mut redis).await.unwrap();
    client.enqueue(job("acme")).await.unwrap();
    until("the first has started", || async { (started.load(Ordering::SeqCst) == 1).then_some(()) }).await;
    idle(&redis, 1).await;
    // As if the busy one had been idle in this shard when it filled up elsewhere.
    let _: () = redis::cmd("ZADD").arg(IDLE).arg(0).arg(&entries[0]).query_async(&mut redis).await.unwrap();
    let begun = Instant::now();
    client.enqueue(job("acme")).await.unwrap();
    until("the other has started", || async { (started.load(Ordering::SeqCst) == 2).then_some(()) }).await;
    eprintln!("passed on in {:?}", begun.elapsed());
    gate.add_permits(2);
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn an_idle_queue_starts_a_job_in_milliseconds() {
    let server = Server::start().await;
    let client = server.client_with(16).await;
    let (told, mut started) = tokio::sync::mpsc::unbounded_channel();
    let worker = work(&client, config(4), move |claimed| {
        let _ = told.send(claimed.id);
        async { done() }
    });
    let mut latencies = Vec::new();
    for n in 0..50 {
        let id = client.enqueue(job(&format!("t{n}"))).await.unwrap().id();
        let sent = std::time::Instant::now();
        assert_eq!(started.recv().await, Some(id));
        latencies.push(sent.elapsed());
        until_state(&client, id, JobState::Completed).await;
    }
    latencies.sort_unstable();
    assert!(latencies[25] < Duration::from_millis(50), "median {:?}: it was polled for", latencies[25]);
    worker.stop().await;
}
