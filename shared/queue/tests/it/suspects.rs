//! Crashes are held against jobs whose handlers had begun; who saw two is run apart, by workers that can.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use postrider_queue::{CapUse, JobId, JobRecord, JobState, QueueBackend, QueueClient, QueueConfig, Stop};
use tokio::sync::mpsc;

use crate::{
    process::{Process, TTL},
    proxy::Proxy,
    server::{Server, WORK, config, done, job, policy, tenant, until, until_state, work},
};

/// A process that takes all there is and dies while every handler runs.
async fn crash(server: &Server, client: &QueueClient, jobs: &[JobId]) {
    crash_in(QueueConfig::new(server.url()).shards(1), client, jobs).await;
}

async fn crash_in(queue: QueueConfig, client: &QueueClient, jobs: &[JobId]) {
    let (told, mut begun) = mpsc::unbounded_channel();
    let process = Process::of(queue, move |client| {
        work(&client, config(8).session_ttl(TTL), move |_| {
            let _ = told.send(());
            std::future::pending()
        })
    })
    .await;
    for _ in jobs {
        begun.recv().await.unwrap();
    }
    process.kill();
    until_taken_back(client, jobs).await;
}

async fn until_taken_back(client: &QueueClient, jobs: &[JobId]) {
    for id in jobs {
        until("the dead process is noticed", || async {
            client.tick().await.unwrap();
            (record(client, *id).await.state != JobState::Running).then_some(())
        })
        .await;
    }
}

async fn record(client: &QueueClient, id: JobId) -> JobRecord {
    client.get(id).await.unwrap().unwrap()
}

#[tokio::test]
async fn who_saw_two_crashes_is_run_apart_and_only_the_worker_that_does_so_buries() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut poison = job("acme");
    poison.payload = b"poison".to_vec();
    let poison = client.enqueue(poison).await.unwrap().id();
    let innocents = client.enqueue_many((0..6).map(|_| job("acme")).collect()).await.unwrap();
    let mut all: Vec<_> = innocents.iter().map(postrider_queue::Enqueued::id).collect();
    all.push(poison);
    crash(&server, &client, &all).await;
    crash(&server, &client, &all).await;

    // A worker that cannot run them apart leaves them, and does what else there is.
    let plain = work(&client, config(8), |_| async { done() });
    let fresh = client.enqueue(job("acme")).await.unwrap().id();
    until_state(&client, fresh, JobState::Completed).await;
    for id in &all {
        let record = record(&client, *id).await;
        assert_eq!((record.state, record.crashes), (JobState::Available, 2));
    }
    assert!(client.tick().await.unwrap().suspects);
    plain.stop().await;

    // One that can takes them one by one, even when answers get lost.
    let proxy = Proxy::before(&server).await;
    let far = QueueClient::connect(QueueConfig::new(proxy.url.clone()).shards(1)).await.unwrap();
    let (at_once, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (counter, highest) = (Arc::clone(&at_once), Arc::clone(&most));
    let proxy = Arc::new(proxy);
    let network = Arc::clone(&proxy);
    let far_config = config(8).session_ttl(Duration::from_secs(20)).take_suspects();
    let apart = work(&far, far_config, move |claimed| {
        let (counter, highest, network) = (Arc::clone(&counter), Arc::clone(&highest), Arc::clone(&network));
        async move {
            assert!(claimed.is_suspect());
            assert_eq!(claimed.epoch, 3, "each is given out once");
            highest.fetch_max(counter.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // Long enough for a second one to be handed out, if that could happen.
            tokio::time::sleep(Duration::from_millis(300)).await;
            network.lose_answers(1); // of its outcome, or of the question for the next
            counter.fetch_sub(1, Ordering::SeqCst);
            if claimed.payload == b"poison" {
                return Err(Stop::fail("poison: its process died").with_cap(CapUse::Unknown));
            }
            done()
        }
    });
    let dead = until_state(&client, poison, JobState::Dead).await;
    assert_eq!(dead.error.as_deref(), Some("poison: its process died"));
    for id in innocents {
        until_state(&client, id.id(), JobState::Completed).await;
    }
    assert_eq!(most.load(Ordering::SeqCst), 1, "one at a time");
    assert!(proxy.lost() >= 6);
    apart.stop().await;
    let stats = client.queue(&WORK).await.unwrap();
    assert_eq!((stats.completed, stats.dead, stats.running, stats.available), (7, 1, 0, 0));
}

#[tokio::test]
async fn a_call_for_a_suspect_that_comes_late_is_given_none() {
    let server = Server::start().await;
    let client = server.client().await;
    let jobs: Vec<_> = client.enqueue_many((0..2).map(|_| job("acme")).collect()).await.unwrap();
    let jobs: Vec<_> = jobs.iter().map(postrider_queue::Enqueued::id).collect();
    crash(&server, &client, &jobs).await;
    crash(&server, &client, &jobs).await;
    client.pause(&WORK).await.unwrap();

    let proxy = Proxy::before(&server).await;
    let behind = QueueClient::connect(QueueConfig::new(proxy.url.clone()).shards(1)).await.unwrap();
    let (let_go, gate) = tokio::sync::watch::channel(false);
    let patient = config(1).session_ttl(Duration::from_secs(60)).take_suspects();
    let worker = work(&behind, patient, move |_| {
        let mut gate = gate.clone();
        async move {
            gate.wait_for(|open| *open).await.unwrap();
            done()
        }
    });
    // Its calls are in vain while the queue stands. The second was sent, so the first was answered.
    until("it has asked for a suspect twice", || async {
        let second = b"$1\r\n2\r\n$4\r\nwork\r\n";
        proxy.tape().iter().any(|bytes| bytes.windows(second.len()).any(|word| word == second)).then_some(())
    })
    .await;
    proxy.hold(true);
    client.resume(&WORK).await.unwrap();
    proxy.play_again(&server, proxy.tape()).await;
    let running = || async { client.queue(&WORK).await.unwrap().running };
    assert_eq!(running().await, 0, "the last call was in vain, and stays so");

    proxy.hold(false);
    until("it has one of them", || async { (running().await == 1).then_some(()) }).await;
    proxy.play_again(&server, proxy.tape()).await;
    assert_eq!(running().await, 1, "nobody would run the other");
    let_go.send(true).unwrap();
    for id in jobs {
        until_state(&client, id, JobState::Completed).await;
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_second_crash_is_not_held_against_what_had_not_begun() {
    let server = Server::start().await;
    let client = server.client().await;
    let jobs: Vec<_> = client.enqueue_many((0..3).map(|_| job("acme")).collect()).await.unwrap();
    let jobs: Vec<_> = jobs.iter().map(postrider_queue::Enqueued::id).collect();
    for _ in 0..3 {
        // Claims, but nobody asks it for what it claimed.
        let idle = Process::with(server.url(), |client| {
            QueueBackend::new(&client, config(8).session_ttl(TTL), Arc::new(policy))
        })
        .await;
        for id in &jobs {
            until_state(&client, *id, JobState::Running).await;
        }
        idle.kill();
        until_taken_back(&client, &jobs).await;
    }
    for id in &jobs {
        assert_eq!(record(&client, *id).await.crashes, 1, "the first crash is held against whatever was held");
    }
    crash(&server, &client, &jobs).await;
    for id in &jobs {
        assert_eq!(record(&client, *id).await.crashes, 2);
    }
}

#[tokio::test]
async fn a_suspect_whose_worker_dies_waits_and_is_not_buried_and_a_whole_run_clears_it() {
    let server = Server::start().await;
    let client = server.client().await;
    let id = client.enqueue(job("acme")).await.unwrap().id();
    crash(&server, &client, &[id]).await;
    crash(&server, &client, &[id]).await;
    for crashes in 3..=4 {
        let (told, mut begun) = mpsc::unbounded_channel();
        let process = Process::with(server.url(), move |client| {
            work(&client, config(1).session_ttl(TTL).take_suspects(), move |_| {
                let _ = told.send(());
                std::future::pending()
            })
        })
        .await;
        begun.recv().await.unwrap();
        process.kill();
        until_taken_back(&client, &[id]).await;
        let record = record(&client, id).await;
        assert_eq!((record.state, record.crashes), (JobState::Scheduled, crashes), "it waits before it runs again");
        assert!(record.run_at > record.started_at.unwrap() + TTL, "later than it was taken back");
        client.promote(id).await.unwrap();
    }
    let worker = work(&client, config(1).take_suspects(), |claimed| async move {
        if claimed.is_suspect() { crate::server::retry() } else { done() }
    });
    let record = until_state(&client, id, JobState::Completed).await;
    assert_eq!((record.crashes, record.attempt), (0, 2));
    worker.stop().await;
}

#[tokio::test]
async fn a_process_that_was_only_slow_withdraws_its_charge() {
    let server = Server::start().await;
    let client = server.client().await;
    let proxy = Proxy::before(&server).await;
    let (told, mut begun) = mpsc::unbounded_channel();
    let slow = Process::start(proxy.url.clone(), 1, move |_| {
        let _ = told.send(());
        std::future::pending()
    })
    .await;
    let id = client.enqueue(job("acme")).await.unwrap().id();
    begun.recv().await.unwrap();
    proxy.hold(true);
    until_taken_back(&client, &[id]).await;
    assert_eq!(record(&client, id).await.crashes, 1);
    client.pause(&WORK).await.unwrap();
    let held = Instant::now();
    proxy.hold(false);
    until("the charge is withdrawn", || async { (record(&client, id).await.crashes == 0).then_some(()) }).await;
    assert!(held.elapsed() < 3 * TTL);
    slow.kill();
}

#[tokio::test]
async fn a_suspect_whose_end_redis_lost_runs_again() {
    let mut server = Server::start().await;
    let client = server.client().await;
    let id = client.enqueue(job("acme")).await.unwrap().id();
    crash(&server, &client, &[id]).await;
    crash(&server, &client, &[id]).await;
    let runs = Arc::new(AtomicU64::new(0));
    let (let_go, gate) = tokio::sync::watch::channel(false);
    let worker = work(&client, config(4).take_suspects(), {
        let runs = Arc::clone(&runs);
        move |claimed| {
            assert!(claimed.is_suspect());
            runs.fetch_add(1, Ordering::SeqCst);
            let mut gate = gate.clone();
            async move {
                gate.wait_for(|open| *open).await.unwrap();
                done()
            }
        }
    });
    until_state(&client, id, JobState::Running).await;
    // From here on nothing is written down: the server comes back as it is now.
    let mut redis = server.redis().await;
    redis::cmd("CONFIG").arg(&["SET", "appendonly", "no"]).exec_async(&mut redis).await.unwrap();
    let_go.send(true).unwrap();
    until_state(&client, id, JobState::Completed).await;
    server.kill();
    server.up().await;
    assert_eq!(until_state(&client, id, JobState::Running).await.epoch, 3, "the end of the run is lost");
    let again = until_state(&client, id, JobState::Completed).await;
    assert_eq!((again.epoch, runs.load(Ordering::SeqCst)), (4, 2));
    worker.stop().await;
}

/// A queue on two servers with a suspect in each: in the shard that is asked last, and in one of the other server.
struct Spread {
    servers: Vec<Server>,
    client: QueueClient,
    /// Which server has the last shard.
    near: usize,
    last: JobId,
    other: JobId,
}

impl Spread {
    async fn start() -> Self {
        let servers = vec![Server::start().await, Server::start().await];
        let queue = QueueConfig::new(format!("{},{}", servers[0].url(), servers[1].url())).shards(4);
        let client = QueueClient::connect(queue.clone()).await.unwrap();
        let mut all = Vec::new();
        for shard in 0..4 {
            let of = (0..1_000).map(|n| format!("t{n}")).find(|name| client.shard_of(&tenant(name)) == shard).unwrap();
            all.push(client.enqueue(job(&of)).await.unwrap().id());
        }
        let mut redis = servers[0].redis().await;
        let keys: Vec<String> = redis::cmd("KEYS").arg("*:jobs*").query_async(&mut redis).await.unwrap();
        let in_first = |id: &JobId| keys.iter().any(|key| key.starts_with(&format!("{{pr:{}}}:1:jobs", id.shard())));
        let last = all[3];
        let other = *all.iter().find(|id| in_first(id) != in_first(&last)).unwrap();
        let jobs = [last, other];
        for id in all.iter().filter(|id| !jobs.contains(id)) {
            client.cancel(*id).await.unwrap();
        }
        crash_in(queue.clone(), &client, &jobs).await;
        crash_in(queue, &client, &jobs).await;
        Self { servers, client, near: usize::from(!in_first(&last)), last, other }
    }
}

#[tokio::test]
async fn a_server_that_is_away_keeps_nobody_from_the_suspects_of_another() {
    let mut spread = Spread::start().await;
    let urls = [spread.servers[0].url(), spread.servers[1].url()].join(",");
    let away = 1 - spread.near;
    spread.servers[away].kill();
    let late = QueueClient::connect(QueueConfig::new(urls).shards(4)).await.unwrap();
    let worker = work(&late, config(4).take_suspects(), |_| async { done() });
    until_state(&spread.client, spread.last, JobState::Completed).await;
    spread.servers[away].up().await;
    worker.stop().await;
}

#[tokio::test]
async fn a_suspect_that_comes_late_goes_back_if_another_is_in_hand() {
    let spread = Spread::start().await;
    let proxy = Proxy::before(&spread.servers[1 - spread.near]).await;
    let urls = [spread.servers[spread.near].url(), proxy.url.clone()].join(",");
    let far = QueueClient::connect(QueueConfig::new(urls).shards(4)).await.unwrap();
    spread.client.pause(&WORK).await.unwrap();
    let (let_go, gate) = tokio::sync::watch::channel(false);
    let worker = work(&far, config(4).session_ttl(Duration::from_mins(1)).take_suspects(), move |_| {
        let mut gate = gate.clone();
        async move {
            gate.wait_for(|open| *open).await.unwrap();
            done()
        }
    });
    let sessions = async |place: usize| {
        let mut redis = spread.servers[place].redis().await;
        let keys: Vec<String> = redis::cmd("KEYS").arg("*:suspect_of").query_async(&mut redis).await.unwrap();
        keys.len()
    };
    until("all shards were asked in vain", || async { (sessions(0).await + sessions(1).await == 4).then_some(()) })
        .await;
    proxy.hold_answers_of_calls(true);
    spread.client.resume(&WORK).await.unwrap();
    for id in [spread.other, spread.last] {
        until_state(&spread.client, id, JobState::Running).await;
    }
    proxy.hold_answers_of_calls(false);
    let back = until_state(&spread.client, spread.other, JobState::Available).await;
    assert_eq!((back.epoch, back.attempt, back.crashes), (3, 0, 2));
    assert_eq!(record(&spread.client, spread.last).await.state, JobState::Running);
    let_go.send(true).unwrap();
    for id in [spread.other, spread.last] {
        until_state(&spread.client, id, JobState::Completed).await;
    }
    worker.stop().await;
}
