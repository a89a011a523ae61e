//! Follow-ups: jobs that a job leaves behind with its completion.

use postrider_queue::{Done, JobState};

use crate::server::{Server, WORK, config, done, job, until, until_state, work};

#[tokio::test]
async fn follow_ups_are_created_with_the_completion_and_only_once() {
    let server = Server::start().await;
    let client = server.client().await;
    let worker = work(&client, config(4), |claimed| async move {
        if claimed.payload == b"first" {
            let mut second = job("acme");
            second.payload = b"second".to_vec();
            return Ok(Done::with("one").then(second.clone()).then(second));
        }
        if claimed.payload == b"stray" {
            return Ok(Done::empty().then(job("somebody-else")));
        }
        done()
    });
    let mut first = job("acme");
    first.payload = b"first".to_vec();
    let id = client.enqueue(first).await.unwrap().id();
    until("all three are done", || async { (client.queue(&WORK).await.unwrap().completed == 3).then_some(()) }).await;
    assert_eq!(client.get(id).await.unwrap().unwrap().output.unwrap(), "one");
    let mut stray = job("acme");
    stray.payload = b"stray".to_vec();
    let id = client.enqueue(stray).await.unwrap().id();
    let record = until_state(&client, id, JobState::Dead).await;
    assert!(record.error.unwrap().contains("another tenant"));
    worker.stop().await;
}
