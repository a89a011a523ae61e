//! Maintenance is shared: any number of processes take the steps of one, and none is needed.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta};
use postrider_queue::JobState;

use crate::server::{Server, config, done, job, tenant, until_state, work};

/// Steps of maintenance that a server has seen: each looks at the heads of 13 lists, which nothing else does.
async fn steps(redis: &mut redis::aio::MultiplexedConnection) -> u32 {
    let stats: String = redis::cmd("INFO").arg("commandstats").query_async(redis).await.unwrap();
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_lindex:calls="));
    calls.map_or(0, |calls| calls.split(',').next().unwrap().parse::<u32>().unwrap() / 13)
}

#[tokio::test]
async fn many_processes_take_the_steps_of_one() {
    const FOR: Duration = Duration::from_secs(4);
    let server = Server::start().await;
    let mut redis = server.redis().await;
    let mut workers = Vec::new();
    for _ in 0..8 {
        workers.push(work(&server.client().await, config(1), |_| async { done() }));
    }
    tokio::time::sleep(Duration::from_secs(1)).await; // until those who came last have seen the steps of the others
    let (before, began) = (steps(&mut redis).await, Instant::now());
    tokio::time::sleep(FOR).await;
    let seen = steps(&mut redis).await - before;
    let most = u32::try_from(began.elapsed().as_millis() / 500 + 3).unwrap();
    assert!((2..=most).contains(&seen), "{seen} steps in {FOR:?}, at most {most} are due");

    // Whoever took them goes, and the others go on; a job that has to wait is on time again.
    let client = server.client().await;
    while let Some(worker) = workers.pop() {
        if workers.is_empty() {
            let now: (i64, i64) = redis::cmd("TIME").query_async(&mut redis).await.unwrap();
            let soon = chrono::DateTime::from_timestamp(now.0 + 3, 0).unwrap();
            let id = client.enqueue(job("acme").run_at(soon)).await.unwrap().id();
            let record = until_state(&client, id, JobState::Completed).await;
            let late = record.started_at.unwrap() - soon;
            eprintln!("a job that waited started {late} after its time");
            assert!(late < chrono::TimeDelta::milliseconds(500), "{late}");
            assert!(late >= chrono::TimeDelta::zero(), "{late}");
        }
        worker.abort().await;
    }
}

#[tokio::test]
async fn a_share_of_the_maintenance_is_enough_where_no_worker_is() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut redis = server.redis().await;
    let now: (i64, i64) = redis::cmd("TIME").query_async(&mut redis).await.unwrap();
    let soon = chrono::DateTime::from_timestamp(now.0 + 2, 0).unwrap();
    let id = client.enqueue(job("acme").run_at(soon)).await.unwrap().id();
    let mut shares = [client.upkeep(), client.upkeep()];
    let began = Instant::now();
    let mut promoted = 0;
    while promoted == 0 && began.elapsed() < Duration::from_secs(8) {
        for share in &mut shares {
            promoted += share.step().await.unwrap().promoted;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(promoted, 1);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(client.get(id).await.unwrap().unwrap().state, JobState::Available);
    let steps = steps(&mut redis).await;
    assert!(steps < 10, "{steps}");
}

#[tokio::test]
async fn a_shard_that_errs_keeps_no_other_from_its_maintenance() {
    let server = Server::start().await;
    let client = server.client_with(4).await;
    let mut redis = server.redis().await;
    let now: (i64, i64) = redis::cmd("TIME").query_async(&mut redis).await.unwrap();
    let soon = chrono::DateTime::from_timestamp(now.0 + 2, 0).unwrap();
    let of = |shard| (0..100).map(|n| format!("t{n}")).find(|name| client.shard_of(&tenant(name)) == shard).unwrap();
    let mut ids = Vec::new();
    for shard in [0, 1, 3] {
        ids.push(client.enqueue(job(&of(shard)).run_at(soon)).await.unwrap().id());
    }
    redis::cmd("SET").arg("{pr:2}:1:meta").arg("unreadable").exec_async(&mut redis).await.unwrap();
    let mut upkeep = client.upkeep();
    let (began, mut erred) = (Instant::now(), false);
    for id in ids {
        while client.get(id).await.unwrap().unwrap().state != JobState::Available {
            erred |= upkeep.step().await.is_err();
            assert!(began.elapsed() < Duration::from_secs(10), "nobody looks after {id}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    assert!(erred, "the error is told");
}

/// What a person has to mend is tried once a second; what is due elsewhere at the same server waits for no such second.
#[tokio::test]
async fn a_shard_that_errs_makes_no_other_late() {
    let server = Server::start().await;
    let client = server.client_with(2).await;
    let mut redis = server.redis().await;
    let of = |shard| (0..100).map(|n| format!("t{n}")).find(|name| client.shard_of(&tenant(name)) == shard).unwrap();
    let healthy = of(1);
    redis::cmd("SET").arg("{pr:0}:1:meta").arg("unreadable").exec_async(&mut redis).await.unwrap();
    let worker = work(&client, config(1), |_| async { done() });
    let mut late = TimeDelta::zero();
    for _ in 0..8 {
        let (seconds, micros): (i64, u32) = redis::cmd("TIME").query_async(&mut redis).await.unwrap();
        let due = DateTime::from_timestamp(seconds, micros * 1_000).unwrap() + TimeDelta::milliseconds(100);
        let id = client.enqueue(job(&healthy).run_at(due)).await.unwrap().id();
        let ended = until_state(&client, id, JobState::Completed).await;
        late += ended.started_at.unwrap() - due;
    }
    assert!(late < TimeDelta::seconds(3), "8 jobs are late by {late} together");
    worker.stop().await;
}
