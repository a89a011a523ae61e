//! Connections and servers from which nothing is heard: they are replaced, and callers are told in time.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use futures::future::join_all;
use postrider_queue::{JobState, QueueClient, QueueConfig};

use crate::{
    proxy::Proxy,
    server::{Server, config, done, job, until, until_state, work},
};

#[tokio::test]
async fn connections_that_swallow_everything_are_replaced() {
    let server = Server::start().await;
    let proxy = Proxy::before(&server).await;
    let client = QueueClient::connect(QueueConfig::new(proxy.url.clone()).shards(1)).await.unwrap();
    let worker = work(&client, config(4), |_| async { done() });
    let id = client.enqueue(job("acme")).await.unwrap().id();
    until_state(&client, id, JobState::Completed).await;

    // As after a firewall forgot them: nobody is told, and there is no end to it.
    proxy.swallow();
    let id = until("a job is taken", || async { client.enqueue(job("acme")).await.ok() }).await.id();
    until("it is done", || async {
        let record = client.get(id).await.ok().flatten()?;
        (record.state == JobState::Completed).then_some(())
    })
    .await;
    worker.stop().await;
}

fn signal(server: &Server, name: &str) {
    let pid = server.pid().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
}

/// How long the slowest of many callers, one after another and all at a time, waits for being told.
async fn told_after(client: &QueueClient) -> Duration {
    let told = join_all((0..30).map(|number| async move {
        tokio::time::sleep(Duration::from_millis(100) * number).await;
        let asked = Instant::now();
        let refused = client.enqueue(job("acme")).await.unwrap_err();
        assert!(refused.is_transient() && refused.retry_after().is_some(), "{refused}");
        asked.elapsed()
    }));
    told.await.into_iter().max().unwrap()
}

#[tokio::test]
async fn callers_are_told_in_time_that_a_server_hangs() {
    let server = Server::start().await;
    let client = server.client().await;
    client.enqueue(job("acme")).await.unwrap();
    signal(&server, "-STOP");
    let told = told_after(&client).await;
    signal(&server, "-CONT");
    // Four seconds, whoever called before them, and room for a busy machine.
    assert!(told < Duration::from_millis(5_500), "{told:?}");
    until("it answers again", || async { client.enqueue(job("acme")).await.ok() }).await;
}

#[tokio::test]
async fn callers_are_told_at_once_that_a_server_is_down() {
    let mut server = Server::start().await;
    let client = server.client().await;
    client.enqueue(job("acme")).await.unwrap();
    server.kill();
    let told = told_after(&client).await;
    // The calls are repeated for 0.7 s, and there is room for a busy machine.
    assert!(told < Duration::from_secs(2), "{told:?}");
    server.up().await;
    until("it answers again", || async { client.enqueue(job("acme")).await.ok() }).await;
}
