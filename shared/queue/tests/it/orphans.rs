//! A Redis that forgets what it had confirmed: nobody's run is left to stand for ever.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use postrider_queue::JobState;

use crate::server::{Server, config, done, job, until, until_state, work};

#[tokio::test]
async fn a_run_whose_end_redis_lost_runs_again() {
    let mut server = Server::start().await;
    let client = server.client().await;
    let runs = Arc::new(AtomicUsize::new(0));
    let (let_go, gate) = tokio::sync::watch::channel(false);
    let worker = work(&client, config(4), {
        let runs = Arc::clone(&runs);
        move |_| {
            runs.fetch_add(1, Ordering::SeqCst);
            let mut gate = gate.clone();
            async move {
                gate.wait_for(|open| *open).await.unwrap();
                done()
            }
        }
    });
    let lost = client.enqueue(job("acme")).await.unwrap().id();
    let kept = client.enqueue(job("other")).await.unwrap().id();
    for id in [lost, kept] {
        until_state(&client, id, JobState::Running).await;
    }
    // From here on nothing is written down: the server comes back as it is now.
    let mut redis = server.redis().await;
    redis::cmd("CONFIG").arg(&["SET", "appendonly", "no"]).exec_async(&mut redis).await.unwrap();
    let_go.send(true).unwrap();
    for id in [lost, kept] {
        until_state(&client, id, JobState::Completed).await;
    }
    let_go.send(false).unwrap();
    server.kill();
    server.up().await;

    assert_eq!(until_state(&client, lost, JobState::Running).await.epoch, 1, "the end of the run is lost");
    until("both run again", || async { (runs.load(Ordering::SeqCst) == 4).then_some(()) }).await;
    let_go.send(true).unwrap();
    for id in [lost, kept] {
        let again = until_state(&client, id, JobState::Completed).await;
        assert_eq!((again.epoch, again.attempt), (2, 1));
    }
    assert_eq!(runs.load(Ordering::SeqCst), 4);
    worker.stop().await;
}
