//! A queue that is paused gives nothing until it is resumed.

use std::time::Duration;

use postrider_queue::JobState;

use crate::server::{Server, WORK, config, done, job, until_state, work};

#[tokio::test]
async fn a_paused_queue_gives_nothing_until_it_is_resumed() {
    let server = Server::start().await;
    let client = server.client_with(4).await;
    client.pause(&WORK).await.unwrap();
    let id = client.enqueue(job("acme")).await.unwrap().id();
    let worker = work(&client, config(4), |_| async { done() });
    let mut other = job("acme");
    other.queue = postrider_queue::QueueName::new("elsewhere");
    client.enqueue(other).await.unwrap();
    let record = client.wait(id, Duration::from_millis(700)).await.unwrap().unwrap();
    assert_eq!(record.state, JobState::Available);
    let stats = client.queue(&WORK).await.unwrap();
    assert!(stats.paused && stats.available == 1 && stats.oldest_age.unwrap() >= Duration::from_millis(600));
    assert_eq!(client.queues().await.unwrap().len(), 2);
    client.resume(&WORK).await.unwrap();
    until_state(&client, id, JobState::Completed).await;
    worker.stop().await;
}
