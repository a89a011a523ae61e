//! Callers follow a job to its end: they see each step, and wait no longer than they want to.

use std::time::Duration;

use futures::StreamExt;
use postrider_queue::JobState;

use crate::server::{PATIENCE, Server, config, done, job, tenant, until_state, work};

#[tokio::test]
async fn watching_sees_each_step_to_the_end() {
    let server = Server::start().await;
    let client = server.client().await;
    let id = client.enqueue(job("acme")).await.unwrap().id();
    let mut steps = Box::pin(client.watch(id));
    assert_eq!(steps.next().await.unwrap().state, JobState::Available);
    let (go, gate) = tokio::sync::watch::channel(false);
    let worker = work(&client, config(4), move |claimed| {
        let mut gate = gate.clone();
        async move {
            claimed.lease.progress(serde_json::json!(1)).await.unwrap();
            let _ = gate.wait_for(|open| *open).await;
            done()
        }
    });
    let mut states = Vec::new();
    while let Some(record) = steps.next().await {
        if record.progress.is_some() && record.state == JobState::Running {
            go.send(true).unwrap();
        }
        states.push(record.state);
    }
    assert_eq!(states.last(), Some(&JobState::Completed));
    assert!(states.contains(&JobState::Running));
    let again: Vec<_> = client.watch(id).collect().await;
    assert_eq!(again.len(), 1, "an ended job is told once");
    assert!(client.wait(client.job_id(&tenant("acme")), PATIENCE).await.unwrap().is_none());
    worker.stop().await;
}

#[tokio::test]
async fn waiting_ends_with_the_job_or_with_the_time() {
    let server = Server::start().await;
    let client = server.client().await;
    let id = client.enqueue(job("acme")).await.unwrap().id();
    let started = std::time::Instant::now();
    let record = client.wait(id, Duration::from_millis(50)).await.unwrap().unwrap();
    assert_eq!(record.state, JobState::Available);
    assert!(started.elapsed() >= Duration::from_millis(50));
    let waiting = client.wait(id, PATIENCE);
    let working = async {
        let worker = work(&client, config(1), |_| async { done() });
        until_state(&client, id, JobState::Completed).await;
        worker.stop().await;
    };
    let (record, ()) = tokio::join!(waiting, working);
    assert_eq!(record.unwrap().unwrap().state, JobState::Completed);
    assert!(started.elapsed() < Duration::from_secs(2), "told by a message, not by reading again");
}
