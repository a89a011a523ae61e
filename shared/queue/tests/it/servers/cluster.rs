//! A Redis Cluster of three masters, each with a replica.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta};
use postrider_queue::{Enqueued, JobState, QueueClient, QueueConfig, RateLimit, RateSubject};

use crate::{
    ports::free_port,
    server::{PATIENCE, Server, config, done, job, tenant, until, until_state, work},
};

const SLOTS: u16 = 16_384;

/// Three masters, then their replicas.
struct Cluster(Vec<Server>);

impl Cluster {
    async fn start() -> Self {
        let mut nodes = Vec::new();
        let mut ids = Vec::new();
        let mut buses = Vec::new();
        for _ in 0..6 {
            let bus = free_port().to_string();
            let node = Server::start_with(&[
                "--cluster-enabled",
                "yes",
                "--cluster-node-timeout",
                "1000",
                "--cluster-port",
                &bus,
                "--cluster-replica-validity-factor",
                "0",
            ])
            .await;
            ids.push(ask::<String>(&node, &["MYID"]).await);
            buses.push(bus);
            nodes.push(node);
        }
        for (place, node) in nodes.iter().enumerate() {
            if let Ok(third @ 0..3) = u16::try_from(place) {
                let (from, till) =
                    (u32::from(SLOTS) * u32::from(third) / 3, u32::from(SLOTS) * (u32::from(third) + 1) / 3 - 1);
                ask::<()>(node, &["ADDSLOTSRANGE", &from.to_string(), &till.to_string()]).await;
            }
            ask::<()>(node, &["SET-CONFIG-EPOCH", &(place + 1).to_string()]).await;
            if place > 0 {
                ask::<()>(&nodes[0], &["MEET", "127.0.0.1", &node.port.to_string(), &buses[place]]).await;
            }
        }
        for place in 3..6 {
            until("the replica knows its master", || async {
                let text = ask::<String>(&nodes[place], &["NODES"]).await;
                text.contains(&ids[place - 3]).then_some(())
            })
            .await;
            ask::<()>(&nodes[place], &["REPLICATE", &ids[place - 3]]).await;
        }
        for node in &nodes {
            until("the cluster is whole", || async {
                let info = ask::<String>(node, &["INFO"]).await;
                let text = ask::<String>(node, &["NODES"]).await;
                let linked = text.lines().filter(|line| line.contains(" connected")).count();
                (info.contains("cluster_state:ok") && linked == 6 && text.matches("slave").count() == 3).then_some(())
            })
            .await;
        }
        for replica in &nodes[3..] {
            until("the replica is in step", || async {
                let info: String =
                    redis::cmd("INFO").arg("replication").query_async(&mut replica.redis().await).await.unwrap();
                info.contains("master_link_status:up").then_some(())
            })
            .await;
        }
        Self(nodes)
    }

    /// Those that are there go on when others are away.
    async fn let_parts_serve(&self) {
        for node in &self.0 {
            let set = ["SET", "cluster-require-full-coverage", "no"];
            redis::cmd("CONFIG").arg(&set).exec_async(&mut node.redis().await).await.unwrap();
        }
    }

    fn url(&self) -> String {
        format!("redis+cluster://127.0.0.1:{},127.0.0.1:{}", self.0[0].port, self.0[1].port)
    }
}

async fn ask<T: redis::FromRedisValue>(node: &Server, words: &[&str]) -> T {
    redis::cmd("CLUSTER").arg(words).query_async(&mut node.redis().await).await.unwrap()
}

#[tokio::test]
async fn a_drain_goes_on_when_a_replica_takes_over() {
    let mut cluster = Cluster::start().await;
    let client = QueueClient::connect(QueueConfig::new(cluster.url()).shards(16)).await.unwrap();
    let jobs = (0..600).map(|n| job(&format!("t{}", n % 40))).collect();
    let mut ids: Vec<_> = client.enqueue_many(jobs).await.unwrap().iter().map(Enqueued::id).collect();
    let worker = work(&client, config(8), |_| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        done()
    });
    let first = client.wait(ids[0], PATIENCE).await.unwrap().unwrap();
    assert_eq!(first.state, JobState::Completed);

    // The node that the client was told of first, and so the one it has its subscription at.
    cluster.0[0].kill();
    let killed = Instant::now();
    for n in 0..40 {
        let of = format!("t{n}");
        let answer = until("jobs are taken again", || async { client.enqueue(job(&of)).await.ok() }).await;
        ids.push(answer.id());
    }
    assert!(killed.elapsed() < Duration::from_secs(20), "{:?}", killed.elapsed());
    for id in &ids {
        until_state(&client, *id, JobState::Completed).await;
    }
    // Messages arrive again.
    let id = client.enqueue(job("t1")).await.unwrap().id();
    assert_eq!(client.wait(id, PATIENCE).await.unwrap().unwrap().state, JobState::Completed);
    worker.stop().await;
}

#[tokio::test]
async fn a_cluster_under_a_single_servers_url_is_refused_and_the_other_way_round() {
    let node = Server::start_with(&["--cluster-enabled", "yes", "--cluster-port", &free_port().to_string()]).await;
    let refused = QueueClient::connect(QueueConfig::new(node.url())).await.map(drop).unwrap_err();
    assert!(refused.to_string().contains("redis+cluster://"), "{refused}");
    let single = Server::start().await;
    let url = format!("redis+cluster://127.0.0.1:{}", single.port);
    let refused = QueueClient::connect(QueueConfig::new(url)).await.map(drop).unwrap_err();
    assert!(refused.to_string().contains("cluster-enabled"), "{refused}");
}

#[tokio::test]
async fn limits_hold_on_a_cluster_while_a_replica_takes_over() {
    let mut cluster = Cluster::start().await;
    let connect = || QueueClient::connect(QueueConfig::new(cluster.url()).shards(16));
    let clients = [connect().await.unwrap(), connect().await.unwrap()];
    let fresh = connect().await.unwrap();
    let hourly = RateLimit { units: 1, per: Duration::from_hours(1), burst: 5 };
    let subjects: Vec<RateSubject> = (0..32).map(|number| RateSubject::new(&number.to_string())).collect();
    for subject in &subjects {
        for turn in 0..6 {
            let draws = [subject.draw("one", hourly, 1), subject.draw("two", hourly, 1)];
            let allowance = clients[turn % 2].allow(subject, &draws).await.unwrap();
            assert_eq!(allowance.allowed, turn < 5, "processes count together, turn {turn}");
        }
    }
    for master in &cluster.0[..3] {
        let mut redis = master.redis().await;
        let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*:rate:*").query_async(&mut redis).await.unwrap();
        assert!(keys.len() > 4, "{} limits on one master", keys.len());
        let confirmed: u32 = redis::cmd("WAIT").arg(1).arg(5_000).query_async(&mut redis).await.unwrap();
        assert_eq!(confirmed, 1, "the replica has them, too");
    }
    cluster.0[0].kill();
    let (mut unknown, mut known) = (0, 0);
    let began = Instant::now();
    for subject in &subjects {
        match fresh.allow(subject, &[subject.draw("one", hourly, 1)]).await {
            Ok(allowance) => {
                assert!(!allowance.allowed, "what is used is used");
                known += 1;
            }
            Err(_) => unknown += 1,
        }
    }
    // Each of its shards is waited for once and asked again a second later; the shards of the others are not in the way.
    assert!(known > 4 && unknown > 0, "{known} known, {unknown} not");
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    for subject in &subjects {
        let allowance = until("the replica counts", || async {
            fresh.allow(subject, &[subject.draw("one", hourly, 1)]).await.ok()
        });
        assert!(!allowance.await.allowed, "the replica knows what was used");
    }
    let other = RateSubject::new("somebody else");
    assert!(fresh.allow(&other, &[other.draw("one", hourly, 1)]).await.unwrap().allowed);
}

fn stop(node: &Server) {
    let stopped = std::process::Command::new("kill").args(["-STOP", &node.pid().to_string()]).status();
    assert!(stopped.unwrap().success());
}

#[tokio::test]
async fn a_part_of_a_cluster_that_hangs_stops_no_job_elsewhere() {
    let cluster = Cluster::start().await;
    cluster.let_parts_serve().await;
    let client = QueueClient::connect(QueueConfig::new(cluster.url()).shards(16)).await.unwrap();
    let worker = work(&client, config(8), |_| async { done() });
    let third = u32::from(SLOTS) * 2 / 3;
    let (mut elsewhere, mut there) = (Vec::new(), 0);
    for name in (0..24).map(|n| format!("t{n}")) {
        let key = format!("{{pr:{}}}", client.shard_of(&tenant(&name)));
        let hangs = ask::<u32>(&cluster.0[0], &["KEYSLOT", &key]).await >= third;
        there += usize::from(hangs);
        let first = client.enqueue(job(&name)).await.unwrap().id();
        until_state(&client, first, JobState::Completed).await;
        elsewhere.extend((!hangs).then_some(name));
    }
    assert!(there > 2 && elsewhere.len() > 8, "{there} and {}", elsewhere.len());
    // The third master and its replica stand still: no connection to them ends.
    stop(&cluster.0[5]);
    stop(&cluster.0[2]);
    let mut clock = cluster.0[0].redis().await;
    let (seconds, micros): (i64, u32) = redis::cmd("TIME").query_async(&mut clock).await.unwrap();
    let due = DateTime::from_timestamp(seconds, micros * 1_000).unwrap() + TimeDelta::milliseconds(1_500);
    let mut ids = Vec::new();
    for name in &elsewhere {
        ids.push(client.enqueue(job(name).run_at(due)).await.unwrap().id());
    }
    let mut latest = TimeDelta::zero();
    for id in ids {
        let ended = until("it is completed", || async {
            client.get(id).await.ok().flatten().filter(|record| record.state == JobState::Completed)
        });
        latest = latest.max(ended.await.started_at.unwrap() - due);
    }
    // By one call at most that met it, on a busy machine.
    assert!(latest < TimeDelta::seconds(8), "late by {latest}");
    // For longer than anybody waits for an answer: whoever asks for the slots is told of a node that hangs.
    let (began, mut slowest) = (Instant::now(), Duration::ZERO);
    for name in elsewhere.iter().cycle() {
        let asked = Instant::now();
        let id = client.enqueue(job(name)).await.unwrap().id();
        until_state(&client, id, JobState::Completed).await;
        slowest = slowest.max(asked.elapsed());
        if began.elapsed() > Duration::from_secs(12) {
            break;
        }
    }
    assert!(slowest < Duration::from_secs(8), "{slowest:?}");
    drop(worker); // it cannot say good-bye to those that stand still
}

#[tokio::test]
async fn when_a_master_hangs_its_replica_is_asked() {
    let cluster = Cluster::start().await;
    let client = QueueClient::connect(QueueConfig::new(cluster.url()).shards(16)).await.unwrap();
    let worker = work(&client, config(8), |_| async { done() });
    let names: Vec<String> = (0..24).map(|n| format!("t{n}")).collect();
    for name in &names {
        let id = client.enqueue(job(name)).await.unwrap().id();
        until_state(&client, id, JobState::Completed).await;
    }
    stop(&cluster.0[0]);
    let stopped = Instant::now();
    let mut ids = Vec::new();
    for name in &names {
        let answer = until("jobs are taken again", || async { client.enqueue(job(name)).await.ok() }).await;
        ids.push(answer.id());
    }
    for id in ids {
        until("it is completed", || async {
            client.get(id).await.ok().flatten().filter(|record| record.state == JobState::Completed)
        })
        .await;
    }
    assert!(stopped.elapsed() < Duration::from_secs(25), "{:?}", stopped.elapsed());
    drop(worker); // it cannot say good-bye to the one that stands still
}

#[tokio::test]
async fn a_part_of_a_cluster_that_is_away_for_good_keeps_no_room_from_the_others() {
    let mut cluster = Cluster::start().await;
    cluster.let_parts_serve().await;
    let client = QueueClient::connect(QueueConfig::new(cluster.url()).shards(16)).await.unwrap();
    let worker = work(&client, config(2), |_| async { done() });
    let mut ids = Vec::new();
    for n in 0..32 {
        ids.push(client.enqueue(job(&format!("t{n}"))).await.unwrap().id());
    }
    for id in &ids {
        until_state(&client, *id, JobState::Completed).await;
    }
    // The third master and its replica. Whoever is asked for their slots names them, for ever.
    cluster.0[5].kill();
    cluster.0[2].kill();
    let killed = Instant::now();
    let lost = async |id| {
        let asked = tokio::time::timeout(Duration::from_secs(1), client.get(id)).await;
        !matches!(asked, Ok(Ok(Some(_))))
    };
    let mut there = Vec::new();
    for (n, id) in ids.into_iter().enumerate() {
        if !lost(id).await {
            there.push(format!("t{n}"));
        }
    }
    assert!((8..28).contains(&there.len()), "{} of 32", there.len());
    // So long that every shard was asked for jobs once more.
    for of in there.iter().cycle() {
        let asked = Instant::now();
        let id = client.enqueue(job(of)).await.unwrap().id();
        until_state(&client, id, JobState::Completed).await;
        assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
        if killed.elapsed() > Duration::from_secs(8) {
            break;
        }
    }
    drop(worker); // it cannot say good-bye to those that are away
}
