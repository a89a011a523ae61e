//! Records: those that are asked for at the same time are read together, and what cannot be read harms nobody.

use postrider_queue::{Enqueued, JobId, JobState};

use crate::server::{Server, WORK, config, done, job, tenant, until, until_state, work};

#[tokio::test]
async fn records_that_are_asked_for_at_the_same_time_come_together() {
    let server = Server::start().await;
    let client = server.client().await;
    let jobs = (0..200).map(|_| job("acme")).collect();
    let mut ids: Vec<JobId> = client.enqueue_many(jobs).await.unwrap().iter().map(Enqueued::id).collect();
    client.cancel(ids[7]).await.unwrap();
    ids.insert(100, client.job_id(&tenant("acme"))); // there is no such job
    ids.push(ids[0]); // and this one twice
    client.get(ids[1]).await.unwrap();
    let mut redis = server.redis().await;
    redis::cmd("CONFIG").arg("RESETSTAT").exec_async(&mut redis).await.unwrap();
    let mut hung_up = Box::pin(client.get(ids[2]));
    assert!(futures::poll!(&mut hung_up).is_pending());
    drop(hung_up);
    let answers = futures::future::join_all(ids.iter().map(|id| client.get(*id))).await;
    for (place, (id, answer)) in ids.iter().zip(answers).enumerate() {
        let record = answer.unwrap();
        assert_eq!(record.as_ref().map(|record| record.id), (place != 100).then_some(*id));
        assert_eq!(record.is_some_and(|record| record.state == JobState::Cancelled), place == 7);
    }
    let stats: String = redis::cmd("INFO").arg("commandstats").query_async(&mut redis).await.unwrap();
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls=")).unwrap();
    let calls: u32 = calls.split(',').next().unwrap().parse().unwrap();
    // Beside the looks of the client itself.
    assert!(calls < 20, "{calls} calls for 202 records");
}

#[tokio::test]
async fn unreadable_records_are_buried_and_harm_nobody() {
    let server = Server::start().await;
    let client = server.client().await;
    let id = client.enqueue(job("acme")).await.unwrap().id();
    let good = client.enqueue(job("acme")).await.unwrap().id();
    let mut redis = server.redis().await;
    let _: () = redis::cmd("HDEL").arg("{pr:0}:1:kinds").arg(1).query_async(&mut redis).await.unwrap();
    let worker = work(&client, config(4), |_| async { done() });
    until("both are buried", || async { (client.queue(&WORK).await.unwrap().dead == 2).then_some(()) }).await;
    let _: () = redis::cmd("HSET").arg("{pr:0}:1:kinds").arg(1).arg("echo").query_async(&mut redis).await.unwrap();
    for id in [id, good] {
        assert!(client.get(id).await.unwrap().unwrap().error.unwrap().starts_with("unreadable"));
    }
    let next = client.enqueue(job("acme")).await.unwrap().id();
    until_state(&client, next, JobState::Completed).await;
    worker.stop().await;
}
