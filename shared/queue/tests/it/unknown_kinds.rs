//! Workers meet jobs of kinds that only newer ones know.

use std::sync::Arc;

use postrider_queue::{JobState, QueueBackend};

use crate::server::{PATIENCE, Server, config, done, job, until_state, work};

#[tokio::test]
async fn a_worker_that_knows_the_kind_runs_what_others_put_off() {
    let server = Server::start().await;
    let client = server.client().await;
    let id = client.enqueue(job("acme")).await.unwrap().id();
    let old = QueueBackend::new(&client, config(4), Arc::new(|_: &str| None));
    until_state(&client, id, JobState::Scheduled).await;
    old.handle().close(PATIENCE).await.unwrap();
    let worker = work(&client, config(4), |claimed| async move {
        assert_eq!((claimed.attempt, claimed.snoozes), (1, 0));
        done()
    });
    until_state(&client, id, JobState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_kind_that_nobody_knows_waits_for_a_newer_worker() {
    let server = Server::start().await;
    let client = server.client().await;
    let backend = QueueBackend::new(&client, config(4), Arc::new(|_: &str| None));
    let id = client.enqueue(job("acme")).await.unwrap().id();
    let record = until_state(&client, id, JobState::Scheduled).await;
    assert_eq!((record.attempt, record.snoozes), (0, 0));
    assert!(record.error.unwrap().contains("echo"));
    backend.handle().close(PATIENCE).await.unwrap();
}
