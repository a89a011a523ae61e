//! From enqueue to completed, through a worker of apalis.

use postrider_queue::{Done, Enqueued, JobState};

use crate::server::{PATIENCE, Server, config, done, job, work};

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

#[tokio::test]
async fn the_first_job_waits_for_no_script_to_be_read() {
    let server = Server::start().await;
    let client = server.client().await;
    let worker = work(&client, config(4), |_| async { done() });
    let Enqueued::Created(id) = client.enqueue(job("acme")).await.unwrap() else { panic!("not created") };
    client.wait(id, PATIENCE).await.unwrap().unwrap();
    let mut redis = server.redis().await;
    let errors: String = redis::cmd("INFO").arg("errorstats").query_async(&mut redis).await.unwrap();
    let unknown = errors.lines().find(|line| line.starts_with("errorstat_NOSCRIPT")).unwrap_or_default();
    assert_eq!(unknown, "errorstat_NOSCRIPT:count=2", "those that are only called at the start");
    worker.stop().await;
}
