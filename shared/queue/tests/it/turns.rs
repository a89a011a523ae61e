//! How many turns of one worker are under way at one server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use postrider_queue::{JobId, QueueClient, QueueConfig};
use tokio::sync::Semaphore;

use crate::{
    proxy::Proxy,
    server::{Server, config, done, job, tenant, until, until_completed, work},
};

const SHARDS: u16 = 16;
/// As the driver has them: turns that are on their way while others wait, and how long those wait for an answer.
const AT_A_SERVER: usize = 3;
const OVERDUE: TimeDelta = TimeDelta::milliseconds(100);

/// The server's time, which records show in whole milliseconds.
async fn time(server: &Server) -> DateTime<Utc> {
    let (seconds, micros): (i64, i64) = redis::cmd("TIME").query_async(&mut server.redis().await).await.unwrap();
    DateTime::from_timestamp_millis(seconds * 1_000 + micros / 1_000).unwrap()
}

#[tokio::test]
async fn a_server_that_does_not_answer_gets_no_more_turns_until_they_are_overdue() {
    let server = Server::start().await;
    let proxy = Proxy::before(&server).await;
    let client = server.client_with(SHARDS).await;
    let far = QueueClient::connect(QueueConfig::new(proxy.url.clone()).shards(SHARDS)).await.unwrap();
    let (started, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let worker = {
        let (started, gate) = (Arc::clone(&started), Arc::clone(&gate));
        // So many that none is left to be asked for.
        work(&far, config(usize::from(SHARDS)).session_ttl(Duration::from_secs(30)), move |_| {
            let (started, gate) = (Arc::clone(&started), Arc::clone(&gate));
            async move {
                started.fetch_add(1, Ordering::SeqCst);
                gate.acquire().await.unwrap().forget();
                done()
            }
        })
    };
    let of = |shard| (0..10_000).map(|n| format!("t{n}")).find(|name| client.shard_of(&tenant(name)) == shard).unwrap();
    let mut ids: Vec<JobId> = Vec::new();
    for shard in 0..SHARDS {
        ids.push(client.enqueue(job(&of(shard))).await.unwrap().id());
    }
    until("a job of each shard runs", || async {
        (started.load(Ordering::SeqCst) == usize::from(SHARDS)).then_some(())
    })
    .await;

    // All end at once, each in a shard of its own, and what is told of them is not answered.
    proxy.hold_answers(true);
    let began = time(&server).await;
    gate.add_permits(usize::from(SHARDS));
    until_completed(&client, SHARDS.into()).await;
    proxy.hold_answers(false);
    let mut early = 0;
    for id in ids {
        let ended = client.get(id).await.unwrap().unwrap().finished_at.unwrap();
        early += usize::from(ended < began + OVERDUE);
    }
    assert!(early <= AT_A_SERVER, "{early} turns at once");
    worker.stop().await;
}
