//! Workers that die, stop, or lose answers; a Redis that is killed. Nothing is lost, and nothing is done by two.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use apalis::prelude::WorkerBuilder;
use postrider_queue::{Claimed, Interrupt, JobState, Policy, QueueBackend, QueueClient, QueueConfig, Stop};
use tokio::sync::mpsc;

use crate::{
    process::{Process, TTL},
    proxy::Proxy,
    server::{Server, WORK, config, done, job, until, until_state, work},
};

#[tokio::test]
async fn jobs_of_a_killed_worker_run_elsewhere_soon() {
    let server = Server::start().await;
    let client = server.client().await;
    let (told, mut started) = mpsc::unbounded_channel();
    let victim = Process::start(server.url(), 8, move |claimed| {
        let _ = told.send(claimed.id);
        std::future::pending()
    })
    .await;
    let ids: Vec<_> = client.enqueue_many((0..8).map(|_| job("acme")).collect()).await.unwrap();
    for _ in 0..8 {
        started.recv().await.unwrap();
    }
    let other = work(&client, config(8).session_ttl(TTL), |_| async { done() });
    victim.kill();
    let killed = Instant::now();
    for id in ids {
        let record = until_state(&client, id.id(), JobState::Completed).await;
        assert_eq!((record.attempt, record.epoch, record.crashes), (1, 2, 1), "a crash burns no attempt");
    }
    assert!(killed.elapsed() < TTL + Duration::from_secs(3), "{:?}", killed.elapsed());
    other.stop().await;
}

#[tokio::test]
async fn jobs_of_many_workers_that_die_together_run_elsewhere_soon() {
    const WORKERS: usize = 16;
    let server = Server::start().await;
    let client = server.client().await;
    let (told, mut started) = mpsc::unbounded_channel();
    let machine = Process::with(server.url(), move |client| {
        let worker = |_| {
            let told = told.clone();
            work(&client, config(1).session_ttl(TTL), move |claimed| {
                let _ = told.send(claimed.id);
                std::future::pending()
            })
        };
        (0..WORKERS).map(worker).collect::<Vec<_>>()
    })
    .await;
    let ids: Vec<_> = client.enqueue_many((0..WORKERS).map(|_| job("acme")).collect()).await.unwrap();
    for _ in 0..WORKERS {
        started.recv().await.unwrap();
    }
    let other = work(&client, config(WORKERS).session_ttl(TTL), |_| async { done() });
    machine.kill();
    let killed = Instant::now();
    for id in ids {
        until_state(&client, id.id(), JobState::Completed).await;
    }
    assert!(killed.elapsed() < TTL + Duration::from_secs(3), "{:?}", killed.elapsed());
    other.stop().await;
}

#[tokio::test]
async fn a_worker_that_was_stopped_learns_that_it_lost_its_job_and_is_not_believed() {
    let server = Server::start().await;
    let client = server.client().await;
    let proxy = Proxy::before(&server).await;
    let (told, mut events) = mpsc::unbounded_channel();
    let stopped = Process::start(proxy.url.clone(), 1, move |claimed| {
        let told = told.clone();
        async move {
            let _ = told.send("started");
            assert_eq!(claimed.lease.lost_or_cancelled().await, Interrupt::Lost);
            let _ = told.send("lost");
            Ok(postrider_queue::Done::with("of the loser"))
        }
    })
    .await;
    let id = client.enqueue(job("acme")).await.unwrap().id();
    assert_eq!(events.recv().await, Some("started"));
    proxy.hold(true);
    let other =
        work(&client, config(1).session_ttl(TTL), |_| async { Ok(postrider_queue::Done::with("of the winner")) });
    until_state(&client, id, JobState::Completed).await;
    proxy.hold(false);
    assert_eq!(events.recv().await, Some("lost"));
    // Its next job shows that the stale outcome was dealt with and the worker is well.
    other.stop().await;
    let next = client.enqueue(job("acme")).await.unwrap().id();
    until("the stopped worker takes a job again", || async {
        client.get(next).await.unwrap().filter(|record| record.attempt == 1)
    })
    .await;
    let record = client.get(id).await.unwrap().unwrap();
    assert_eq!((record.output.unwrap(), record.epoch), ("of the winner".into(), 2));
    stopped.kill();
}

#[tokio::test]
async fn an_outcome_without_a_lease_is_refused_and_harms_no_other() {
    let server = Server::start().await;
    let client = server.client().await;
    let (told, mut started) = mpsc::unbounded_channel();
    let (go, gate) = tokio::sync::watch::channel(false);
    let worker = work(&client, config(2), move |claimed| {
        let _ = told.send(claimed.id);
        let mut gate = gate.clone();
        async move {
            let _ = gate.wait_for(|open| *open).await;
            done()
        }
    });
    client.enqueue_many((0..2).map(|_| job("acme")).collect()).await.unwrap();
    let (lost, kept) = (started.recv().await.unwrap(), started.recv().await.unwrap());
    let mut redis = server.redis().await;
    let sessions: Vec<Vec<u8>> =
        redis::cmd("ZRANGE").arg("{pr:0}:1:sessions").arg(0).arg(-1).query_async(&mut redis).await.unwrap();
    // Now it is a run of somebody else.
    let (key, id) = ("{pr:0}:1:runs", &lost.as_bytes()[2..]);
    let mut run: Vec<u8> = redis::cmd("HGET").arg(key).arg(id).query_async(&mut redis).await.unwrap();
    let whose = run.len() - 21;
    assert_eq!(run[whose..whose + 8], sessions[0]);
    run[whose] ^= 1;
    let _: () = redis::cmd("HSET").arg(key).arg(id).arg(run).query_async(&mut redis).await.unwrap();
    go.send(true).unwrap();
    until_state(&client, kept, JobState::Completed).await;
    worker.stop().await;
    assert_eq!(client.get(lost).await.unwrap().unwrap().state, JobState::Running, "not the loser's to end");
}

#[tokio::test]
async fn lost_answers_lose_no_job_and_run_none_twice() {
    let server = Server::start().await;
    let proxy = Proxy::before(&server).await;
    let client = QueueClient::connect(QueueConfig::new(proxy.url.clone()).shards(1)).await.unwrap();
    let runs: Arc<Mutex<HashMap<_, u32>>> = Arc::default();
    let record = Arc::clone(&runs);
    // Its session outlives all the repeating, so each repeat must be answered from memory.
    let worker = work(&client, config(16).session_ttl(Duration::from_secs(20)), move |claimed| {
        *record.lock().unwrap().entry(claimed.id).or_default() += 1;
        async { done() }
    });
    for round in 1..=10 {
        proxy.lose_answers(2);
        for _ in 0..30 {
            client.enqueue(job("acme")).await.unwrap();
        }
        until("answers were lost", || async { (proxy.lost() >= 2 * round).then_some(()) }).await;
    }
    until("all are done", || async { (client.queue(&WORK).await.ok()?.completed == 300).then_some(()) }).await;
    let runs = runs.lock().unwrap().clone();
    assert_eq!(runs.len(), 300, "enqueued once each");
    assert!(runs.values().all(|times| *times == 1), "run once each");
    worker.stop().await;
}

#[tokio::test]
async fn a_turn_that_comes_late_claims_nothing() {
    let server = Server::start().await;
    let proxy = Proxy::before(&server).await;
    let client = server.client().await;
    let behind = QueueClient::connect(QueueConfig::new(proxy.url.clone()).shards(1)).await.unwrap();
    let (let_go, gate) = tokio::sync::watch::channel(false);
    let worker = work(&behind, config(1), move |_| {
        let mut gate = gate.clone();
        async move {
            gate.wait_for(|open| *open).await.unwrap();
            done()
        }
    });
    // It asks in vain: once before Redis has the script, once after.
    until("it has asked for work", || async {
        let turns = |bytes: &Vec<u8>| bytes.windows(10).filter(|word| word == b"$4\r\nwork\r\n").count();
        (proxy.tape().iter().map(turns).sum::<usize>() >= 2).then_some(())
    })
    .await;
    let first = client.enqueue(job("acme")).await.unwrap().id();
    until_state(&client, first, JobState::Running).await;
    let second = client.enqueue(job("acme")).await.unwrap().id();
    // Its only place is taken; all it ever asked for arrives once more.
    proxy.play_again(&server, proxy.tape()).await;
    assert_eq!(client.get(second).await.unwrap().unwrap().state, JobState::Available, "nobody would run it");
    let_go.send(true).unwrap();
    until_state(&client, second, JobState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn slow_answers_end_no_session() {
    let server = Server::start().await;
    let proxy = Proxy::before(&server).await;
    let client = server.client().await;
    let behind = QueueClient::connect(QueueConfig::new(proxy.url.clone()).shards(1)).await.unwrap();
    let (let_go, gate) = tokio::sync::watch::channel(false);
    let worker = work(&behind, config(1).session_ttl(Duration::from_secs(2)), move |_| {
        let mut gate = gate.clone();
        async move {
            gate.wait_for(|open| *open).await.unwrap();
            done()
        }
    });
    let id = client.enqueue(job("acme")).await.unwrap().id();
    until_state(&client, id, JobState::Running).await;
    // Twice as long as the session lives, but not so long that a call counts as unanswered.
    proxy.hold_answers(true);
    let held = Instant::now();
    while held.elapsed() < Duration::from_secs(4) {
        client.tick().await.unwrap();
        assert_eq!(client.get(id).await.unwrap().unwrap().state, JobState::Running, "after {:?}", held.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    proxy.hold_answers(false);
    let_go.send(true).unwrap();
    assert_eq!(until_state(&client, id, JobState::Completed).await.epoch, 1);
    worker.stop().await;
}

#[tokio::test]
async fn work_goes_on_by_itself_after_redis_was_killed() {
    let mut server = Server::start().await;
    let client = server.client_with(4).await;
    let runs = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&runs);
    let worker = work(&client, config(8), move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        async {
            tokio::time::sleep(Duration::from_millis(2)).await;
            done()
        }
    });
    let enqueue = |many: usize| client.enqueue_many((0..many).map(|n| job(&format!("t{}", n % 20))).collect());
    enqueue(1000).await.unwrap();
    until("it is in full swing", || async { (runs.load(Ordering::SeqCst) > 100).then_some(()) }).await;
    let mut redis = server.redis().await;
    let _: () = redis::cmd("CONFIG").arg("SET").arg("appendfsync").arg("always").query_async(&mut redis).await.unwrap();
    server.kill();
    let before = runs.load(Ordering::SeqCst);
    server.up().await;
    let back = Instant::now();
    until("it resumes", || async { (runs.load(Ordering::SeqCst) > before + 8).then_some(()) }).await;
    assert!(back.elapsed() < Duration::from_secs(2), "resumed after {:?}", back.elapsed());
    until("all are done", || async {
        let stats = client.queue(&WORK).await.ok()?;
        (stats.completed == 1000 && stats.running == 0 && stats.available == 0).then_some(())
    })
    .await;
    // The subscription is back, too: an idle queue starts a job at once.
    let id = client.enqueue(job("t1")).await.unwrap().id();
    client.wait(id, Duration::from_secs(5)).await.unwrap().filter(|record| record.state.is_finished()).unwrap();
    worker.stop().await;
}

#[tokio::test]
async fn an_outage_longer_than_the_sessions_reaps_nobody() {
    let mut server = Server::start().await;
    let client = server.client().await;
    let proxy = Proxy::before(&server).await;
    let far = QueueClient::connect(QueueConfig::new(proxy.url.clone()).shards(1)).await.unwrap();
    let (told, mut started) = mpsc::unbounded_channel();
    let (go, gate) = tokio::sync::watch::channel(false);
    let worker = work(&far, config(1).session_ttl(TTL), move |claimed| {
        let _ = told.send(());
        let mut gate = gate.clone();
        async move {
            let _ = gate.wait_for(|open| *open).await;
            Ok(postrider_queue::Done::with(claimed.epoch))
        }
    });
    let id = client.enqueue(job("acme")).await.unwrap().id();
    started.recv().await.unwrap();
    client.tick().await.unwrap();
    server.kill();
    let away = Instant::now();
    until("the session has expired", || async { (away.elapsed() > 3 * TTL).then_some(()) }).await;
    // Redis is back, and somebody else takes maintenance steps before the worker can give a sign of life.
    proxy.hold(true);
    server.up().await;
    let first = until("maintenance ran", || async { client.tick().await.ok() }).await;
    assert_eq!(first.rescued, 0);
    for _ in 0..10 {
        assert_eq!(client.tick().await.unwrap().rescued, 0);
    }
    proxy.hold(false);
    go.send(true).unwrap();
    let record = until_state(&client, id, JobState::Completed).await;
    assert_eq!(record.epoch, 1, "the first run was believed");
    worker.stop().await;
}

#[tokio::test]
async fn a_graceful_stop_finishes_and_an_aborted_one_gives_back() {
    let server = Server::start().await;
    let client = server.client().await;
    let (told, mut started) = mpsc::unbounded_channel();
    let (go, gate) = tokio::sync::watch::channel(false);
    let worker = work(&client, config(2), move |_| {
        let _ = told.send(());
        let mut gate = gate.clone();
        async move {
            let _ = gate.wait_for(|open| *open).await;
            done()
        }
    });
    client.enqueue_many((0..10).map(|_| job("acme")).collect()).await.unwrap();
    started.recv().await.unwrap();
    started.recv().await.unwrap();
    let stopping = worker.stop();
    let opening = async {
        tokio::task::yield_now().await;
        go.send(true).unwrap();
    };
    tokio::join!(stopping, opening);
    let stats = client.queue(&WORK).await.unwrap();
    assert_eq!(stats.running, 0);
    assert_eq!(stats.completed + stats.available, 10);
    assert!(stats.completed >= 2, "what ran was finished");

    let (told, mut started) = mpsc::unbounded_channel();
    let worker = work(&client, config(2), move |claimed| {
        let _ = told.send(claimed.id);
        std::future::pending()
    });
    let id = started.recv().await.unwrap();
    worker.abort().await;
    let record = client.get(id).await.unwrap().unwrap();
    assert_eq!((record.state, record.attempt, record.crashes), (JobState::Available, 0, 0));
    assert_eq!(client.queue(&WORK).await.unwrap().available, stats.available);
    let mut redis = server.redis().await;
    let sessions: usize = redis::cmd("ZCARD").arg("{pr:0}:1:sessions").query_async(&mut redis).await.unwrap();
    assert_eq!(sessions, 0);
}

#[tokio::test]
async fn a_panic_is_a_retry_and_ends_nothing() {
    let server = Server::start().await;
    let client = server.client().await;
    let worker = work(&client, config(2), |claimed| async move {
        if claimed.attempt == 1 {
            return Err(Stop::retry("first"));
        }
        done()
    });
    let id = client.enqueue(job("acme")).await.unwrap().id();
    let record = until_state(&client, id, JobState::Completed).await;
    assert_eq!(record.attempt, 2);
    worker.stop().await;
}

#[expect(clippy::panic, reason = "what is tested")]
fn defective(_kind: &str) -> Option<Policy> {
    panic!("a defect")
}

/// The process lives, and with it the tasks that did not fail; but nobody works on what it holds.
#[tokio::test]
async fn a_session_of_which_a_task_fails_keeps_no_job_from_others() {
    let server = Server::start().await;
    let client = server.client().await;
    let failing = QueueBackend::new(&client, config(1).session_ttl(TTL), Arc::new(defective));
    let id = client.enqueue(job("acme")).await.unwrap().id();
    until_state(&client, id, JobState::Running).await;
    let other = work(&client, config(1).session_ttl(TTL), |_| async { done() });
    until_state(&client, id, JobState::Completed).await;
    drop(failing);
    other.stop().await;
}

/// One that waited on would take no job any more, and whatever runs the process would take it for a worker.
#[tokio::test]
async fn a_worker_ends_whose_session_fails() {
    let server = Server::start().await;
    let client = server.client().await;
    let failing = QueueBackend::new(&client, config(1).session_ttl(TTL), Arc::new(defective));
    let worker = WorkerBuilder::new("failing").backend(failing).build(|_: Claimed| async { done() });
    client.enqueue(job("acme")).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(30), worker.run()).await;
    ended.expect("the worker ends").unwrap();
}
