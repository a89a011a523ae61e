//! From enqueue to completed, through a worker of apalis.

use postrider_queue::{Done, Enqueued, JobState};

use crate::server::{PATIENCE, Server, config, job, work};

#[tokio::test]
async fn a_job_is_enqueued_run_and_completed() {
    let server = Server::start().await;
    let client = server.client().await;
    let worker = work(&client, config(4), |claimed| async move {
        Ok(Done::with(format!("{} got {}", claimed.kind, String::from_utf8_lossy(&claimed.payload))))
    });
    let Enqueued::Created(id) = client.enqueue(job("acme")).await.unwrap() else { panic!("not created") };
    let record = client.wait(id, PATIENCE).await.unwrap().unwrap();
    assert_eq!(record.state, JobState::Completed);
    assert_eq!(record.attempt, 1);
    assert_eq!(record.output.unwrap(), "echo got {\"n\":1}");
    worker.stop().await;
}
