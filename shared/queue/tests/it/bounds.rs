//! Bounded calls: a mountain of due jobs is promoted step by step, and no script takes long.

use std::time::{Duration, Instant};

use crate::server::{Server, WORK, config, done, job, until, until_completed, work};

/// The longest command by Redis's own clock, in microseconds.
async fn slowest(redis: &mut redis::aio::MultiplexedConnection) -> u64 {
    let entries: Vec<redis::Value> = redis::cmd("SLOWLOG").arg("GET").arg(-1).query_async(redis).await.unwrap();
    let duration = |entry: redis::Value| match entry {
        redis::Value::Array(fields) => match fields[2] {
            redis::Value::Int(micros) => micros.unsigned_abs(),
            _ => 0,
        },
        _ => 0,
    };
    entries.into_iter().map(duration).max().unwrap_or(0)
}

#[tokio::test]
async fn a_hundred_thousand_due_jobs_are_no_obstacle() {
    const MANY: u64 = 100_000;
    let server = Server::start().await;
    let client = server.client().await;
    let mut redis = server.redis().await;
    let soon = redis::cmd("TIME").query_async::<(i64, i64)>(&mut redis).await.unwrap().0 + 3_600;
    let soon = chrono::DateTime::from_timestamp(soon, 0).unwrap();
    client.enqueue_many((0..MANY).map(|_| job("acme").run_at(soon)).collect()).await.unwrap();
    assert_eq!(client.queue(&WORK).await.unwrap().scheduled, MANY);
    // Their time comes at once for all of them.
    let _: () = redis::cmd("RENAME").arg("{pr:0}:1:due").arg("{pr:0}:1:aside").query_async(&mut redis).await.unwrap();
    let _: () = redis::cmd("ZUNIONSTORE")
        .arg("{pr:0}:1:due")
        .arg(1)
        .arg("{pr:0}:1:aside")
        .arg("WEIGHTS")
        .arg("0.001")
        .query_async(&mut redis)
        .await
        .unwrap();
    let _: () = redis::cmd("CONFIG")
        .arg("SET")
        .arg("slowlog-log-slower-than")
        .arg("1000")
        .query_async(&mut redis)
        .await
        .unwrap();
    let _: () = redis::cmd("SLOWLOG").arg("RESET").query_async(&mut redis).await.unwrap();
    let started = Instant::now();
    let worker = work(&client, config(256), |_| async { done() });
    until_completed(&client, MANY).await;
    eprintln!("promoted and drained {MANY} in {:?}, slowest call {} µs", started.elapsed(), slowest(&mut redis).await);
    // What the machine's other work takes counts, too; huge.rs counts what a call does.
    assert!(slowest(&mut redis).await < 500_000, "a call took {} µs", slowest(&mut redis).await);
    worker.stop().await;
}

#[tokio::test]
async fn a_dead_session_with_many_jobs_is_rescued_in_steps() {
    let server = Server::start().await;
    let client = server.client().await;
    client.enqueue_many((0..5000).map(|_| job("acme")).collect()).await.unwrap();
    let (told, mut started) = tokio::sync::mpsc::unbounded_channel();
    let worker = work(&client, config(5000).session_ttl(Duration::from_millis(500)), move |_| {
        let _ = told.send(());
        std::future::pending()
    });
    for _ in 0..5000 {
        started.recv().await.unwrap();
    }
    let mut redis = server.redis().await;
    // The session is dead as far as Redis can see, and stays so: its worker gets a new one.
    let sessions: Vec<Vec<u8>> =
        redis::cmd("ZRANGE").arg("{pr:0}:1:sessions").arg(0).arg(-1).query_async(&mut redis).await.unwrap();
    let _: () =
        redis::cmd("ZADD").arg("{pr:0}:1:sessions").arg(0).arg(&sessions[0]).query_async(&mut redis).await.unwrap();
    until("all came back", || async {
        let ticked = client.tick().await.unwrap();
        assert!(ticked.rescued <= 96, "a step of {}", ticked.rescued);
        (!reaping(&server).await).then_some(())
    })
    .await;
    worker.abort().await;
    let stats = client.queue(&WORK).await.unwrap();
    assert_eq!((stats.available, stats.running), (5000, 0));
}

/// Whether a session is being reaped.
async fn reaping(server: &Server) -> bool {
    let mut redis = server.redis().await;
    let sessions: Vec<(Vec<u8>, u64)> = redis::cmd("ZRANGE")
        .arg("{pr:0}:1:sessions")
        .arg(0)
        .arg(0)
        .arg("WITHSCORES")
        .query_async(&mut redis)
        .await
        .unwrap();
    sessions.first().is_some_and(|(_, expiry)| *expiry == 0)
}
