//! A worker never holds more jobs than it has room for, whatever becomes of its calls.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use postrider_queue::{JobId, JobState, QueueClient, QueueConfig};
use tokio::sync::Semaphore;

use crate::{
    proxy::Proxy,
    server::{Server, WORK, config, done, job, tenant, until, until_state, work},
};

const ROOM: usize = 4;

/// Longer than an answer is waited for.
const LONG: Duration = Duration::from_secs(30);
/// Longer than a healthy shard takes for a job, shorter than a call takes to fail or a refused one to be repeated.
const SOON: Duration = Duration::from_millis(900);

/// A tenant of this shard.
fn of(client: &QueueClient, shard: u16) -> String {
    (0..1_000).map(|n| format!("t{n}")).find(|name| client.shard_of(&tenant(name)) == shard).unwrap()
}

async fn connect(urls: [String; 2]) -> QueueClient {
    QueueClient::connect(QueueConfig::new(urls.join(",")).shards(2)).await.unwrap()
}

/// Whether a worker claims it before long. One that was not told asks by itself every five seconds.
async fn is_claimed(client: &QueueClient, id: JobId) -> bool {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(10) {
        if client.get(id).await.unwrap().unwrap().state == JobState::Running {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    false
}

#[tokio::test]
async fn a_server_that_answers_late_keeps_no_room_and_brings_no_more_than_there_is() {
    let (one, two) = (Server::start().await, Server::start().await);
    let proxy = Proxy::before(&two).await;
    let client = connect([one.url(), two.url()]).await;
    let far = connect([one.url(), proxy.url.clone()]).await;
    // A tenant whose jobs stand in each server.
    let keys =
        redis::cmd("KEYS").arg("{pr:0}:1:meta").query_async::<Vec<String>>(&mut one.redis().await).await.unwrap();
    let near = u16::from(keys.is_empty());
    let (of_one, of_two) = (of(&client, near), of(&client, 1 - near));

    let (runs, most, gate) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let worker = {
        let (runs, most, gate) = (Arc::clone(&runs), Arc::clone(&most), Arc::clone(&gate));
        work(&far, config(ROOM).session_ttl(LONG), move |_| {
            let (runs, most, gate) = (Arc::clone(&runs), Arc::clone(&most), Arc::clone(&gate));
            async move {
                most.fetch_max(runs.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                gate.acquire().await.unwrap().forget();
                runs.fetch_sub(1, Ordering::SeqCst);
                done()
            }
        })
    };
    for tenant in [&of_one, &of_two] {
        gate.add_permits(1);
        client.enqueue(job(tenant)).await.unwrap();
    }
    until("both servers are served", || async { (gate.available_permits() == 0).then_some(()) }).await;

    // The worker claims jobs of the one server and does not hear of it…
    let mut total = 2;
    let late = loop {
        total += u64::try_from(ROOM).unwrap();
        until("nothing is on its way", || async { (client.queue(&WORK).await.unwrap().running == 0).then_some(()) })
            .await;
        proxy.hold_answers_of_calls(true);
        let late = join_all((0..ROOM).map(|_| client.enqueue(job(&of_two)))).await;
        let late: Vec<_> = late.into_iter().map(|answer| answer.unwrap().id()).collect();
        if is_claimed(&client, late[0]).await {
            break late;
        }
        // A call was on its way already, which claims nothing when it is repeated: once more.
        proxy.hold_answers_of_calls(false);
        gate.add_permits(ROOM);
        until("they are done", || async { (client.queue(&WORK).await.unwrap().completed == total).then_some(()) })
            .await;
    };
    // …so that the other server's jobs take its room, before the call counts as unanswered.
    let asked = Instant::now();
    join_all((0..ROOM).map(|_| client.enqueue(job(&of_one)))).await;
    until("all room is taken", || async { (runs.load(Ordering::SeqCst) == ROOM).then_some(()) }).await;
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    proxy.hold_answers_of_calls(false);
    until("what was claimed in vain is back", || async {
        let record = client.get(late[0]).await.unwrap().unwrap();
        (record.state == JobState::Available && record.attempt == 0).then_some(())
    })
    .await;
    gate.add_permits(2 * ROOM);
    total += u64::try_from(ROOM).unwrap();
    until("all are done", || async { (client.queue(&WORK).await.unwrap().completed == total).then_some(()) }).await;
    assert_eq!(most.load(Ordering::SeqCst), ROOM);
    worker.stop().await;
}

#[tokio::test]
async fn a_shard_that_refuses_turns_keeps_no_room_from_another() {
    let server = Server::start().await;
    let client = server.client_with(2).await;
    let (bad, good) = (of(&client, 0), of(&client, 1));
    let worker = work(&client, config(ROOM), |_| async { done() });
    for tenant in [&bad, &good] {
        let id = client.enqueue(job(tenant)).await.unwrap().id();
        until_state(&client, id, JobState::Completed).await;
    }
    // Something in the shard is not as it should be, and repeating does not mend it.
    let mut redis = server.redis().await;
    let (answers, aside) = ("{pr:0}:1:answers", "{pr:0}:1:aside-for-now");
    redis::pipe()
        .atomic()
        .cmd("RENAME")
        .arg(&[answers, aside])
        .cmd("SET")
        .arg(&[answers, "?"])
        .exec_async(&mut redis)
        .await
        .unwrap();
    let refused = client.enqueue(job(&bad)).await.unwrap().id();
    until("its turn is refused", || async {
        let errors: String = redis::cmd("INFO").arg("errorstats").query_async(&mut redis.clone()).await.unwrap();
        errors.contains("errorstat_WRONGTYPE").then_some(())
    })
    .await;
    for _ in 0..3 {
        let asked = Instant::now();
        let id = client.enqueue(job(&good)).await.unwrap().id();
        until_state(&client, id, JobState::Completed).await;
        assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    }
    redis::cmd("RENAME").arg(&[aside, answers]).exec_async(&mut redis).await.unwrap();
    until_state(&client, refused, JobState::Completed).await;
    worker.stop().await;
}
