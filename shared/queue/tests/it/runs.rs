//! What stands in Redis of a job that runs: apart from its record, and nothing of it when it has ended.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use postrider_queue::{Cancelled, JobState, Stop};
use tokio::sync::{mpsc, watch};

use crate::{
    process::{Process, TTL},
    server::{Server, config, done, job, until, until_state, work},
};

async fn leftovers(server: &Server) -> Vec<String> {
    let mut redis = server.redis().await;
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("{pr:0}:1:*").query_async(&mut redis).await.unwrap();
    let names = keys.iter().map(|key| String::from_utf8_lossy(key).into_owned());
    names.filter(|name| ["runs", "claims:", "ended:"].iter().any(|what| name.contains(what))).collect()
}

#[tokio::test]
async fn a_running_job_shows_its_payload_and_what_happens_to_it() {
    let server = Server::start().await;
    let client = server.client().await;
    let (told, mut started) = mpsc::unbounded_channel();
    let (go, gate) = watch::channel(false);
    let worker = work(&client, config(2), move |claimed| {
        let _ = told.send(claimed.attempt);
        let mut gate = gate.clone();
        async move {
            claimed.lease.progress(serde_json::json!({"step": claimed.attempt})).await.unwrap();
            claimed.lease.log(["a line"]).await.unwrap();
            let _ = gate.wait_for(|open| *open).await;
            if claimed.attempt == 1 { Err(Stop::retry_after("once more", Duration::ZERO)) } else { done() }
        }
    });
    let id = client.enqueue(job("acme")).await.unwrap().id();
    assert_eq!(started.recv().await, Some(1));
    let record = until("the progress", || async {
        client.get(id).await.unwrap().filter(|record| record.log_lines == 1 && record.progress.is_some())
    })
    .await;
    assert_eq!((record.state, record.attempt, record.epoch), (JobState::Running, 1, 1));
    assert_eq!(record.payload, job("acme").payload);
    assert!(record.started_at.is_some());
    go.send(true).unwrap();
    assert_eq!(started.recv().await, Some(2), "with its payload");
    let record = until_state(&client, id, JobState::Completed).await;
    assert_eq!((record.attempt, record.epoch, record.payload.len()), (2, 2, 0));
    worker.stop().await;
    assert_eq!(leftovers(&server).await, Vec::<String>::new());
}

#[tokio::test]
async fn nothing_is_left_of_runs_that_ended_in_any_way() {
    let server = Server::start().await;
    let client = server.client().await;
    let (told, mut started) = mpsc::unbounded_channel();
    let victim = Process::start(server.url(), 30, move |claimed| {
        let _ = told.send(claimed.id);
        std::future::pending()
    })
    .await;
    let ids: Vec<_> = client.enqueue_many((0..300).map(|_| job("acme")).collect()).await.unwrap();
    for _ in 0..30 {
        started.recv().await.unwrap();
    }
    victim.kill();
    let turn = Arc::new(AtomicU32::new(0));
    let worker = work(&client, config(20).session_ttl(TTL), move |claimed| {
        let n = turn.fetch_add(1, Ordering::Relaxed) + u32::from(claimed.epoch > 1) * 1000;
        async move {
            match n % 6 {
                0 if n < 1000 => Err(Stop::retry_after("again", Duration::ZERO)),
                1 => Err(Stop::fail("never")),
                2 => Err(Stop::Cancelled),
                3 => Ok(postrider_queue::Done::with("an output")),
                _ => done(),
            }
        }
    });
    for id in ids {
        until("an end", || async { client.get(id.id()).await.unwrap().filter(|record| record.state.is_finished()) })
            .await;
    }
    until("the dead session's end", || async { leftovers(&server).await.is_empty().then_some(()) }).await;
    worker.stop().await;
}

#[tokio::test]
async fn an_id_that_stands_twice_in_its_lane_runs_once_at_a_time() {
    let server = Server::start().await;
    let client = server.client().await;
    let id = client.enqueue(job("acme")).await.unwrap().id();
    let mut redis = server.redis().await;
    let lane: u32 =
        redis::cmd("RPUSH").arg("{pr:0}:1:lane:1").arg(&id.as_bytes()[2..]).query_async(&mut redis).await.unwrap();
    assert_eq!(lane, 2);
    let (told, mut started) = mpsc::unbounded_channel();
    let (go, gate) = watch::channel(false);
    let worker = work(&client, config(1), move |claimed| {
        let _ = told.send((claimed.id, claimed.epoch));
        let mut gate = gate.clone();
        async move {
            let _ = gate.wait_for(|open| *open).await;
            done()
        }
    });
    assert_eq!(started.recv().await, Some((id, 1)));
    // Another worker comes to the second entry, and passes it by.
    let (told, mut by_other) = mpsc::unbounded_channel();
    let other = work(&client, config(1), move |claimed| {
        let _ = told.send(claimed.id);
        async { done() }
    });
    let next = client.enqueue(job("acme")).await.unwrap().id();
    assert_eq!(by_other.recv().await, Some(next));
    assert_eq!(client.cancel(id).await.unwrap(), Cancelled::Requested);
    go.send(true).unwrap();
    let record = until_state(&client, id, JobState::Completed).await;
    assert_eq!(record.epoch, 1);
    worker.stop().await;
    other.stop().await;
}
