//! A master with a replica, watched by a Sentinel.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use postrider_queue::{Enqueued, JobState, QueueClient, QueueConfig, QueueError};

use crate::proxy::Proxy;
use crate::{
    ports::free_port,
    server::{PATIENCE, Server, config, done, job, tenant, until, until_state, work},
};

/// A Sentinel that takes a master for dead after half a second.
pub(crate) struct Sentinel {
    port: u16,
    child: Child,
    _dir: tempfile::TempDir,
}

impl Sentinel {
    pub(crate) async fn watch(master: u16, replicas: usize) -> Self {
        let (port, dir) = (free_port(), tempfile::tempdir().unwrap());
        let file = dir.path().join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor main 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n",
            dir.path().display(),
            master
        );
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("redis-server");
        command.arg(&file).arg("--sentinel").stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
        until("the Sentinel knows the replicas", || async {
            let mut connection = client.get_multiplexed_async_connection().await.ok()?;
            let known: Vec<redis::Value> =
                redis::cmd("SENTINEL").arg("REPLICAS").arg("main").query_async(&mut connection).await.ok()?;
            (known.len() == replicas).then_some(())
        })
        .await;
        Self { port, child, _dir: dir }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis+sentinel://127.0.0.1:{}/main", self.port)
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A replica of this master, in step with it.
pub(crate) async fn replica_of(master: &Server) -> Server {
    let port = master.port.to_string();
    let replica = Server::start_with(&["--replicaof", "127.0.0.1", &port]).await;
    until("the replica is in step", || async {
        let info: String = redis::cmd("INFO").arg("replication").query_async(&mut replica.redis().await).await.unwrap();
        info.contains("master_link_status:up").then_some(())
    })
    .await;
    // The master counts a replica only after its first sign of life.
    until("the master counts it", || async {
        let info: String = redis::cmd("INFO").arg("replication").query_async(&mut master.redis().await).await.unwrap();
        (info.contains("state=online") && (info.contains("lag=0") || info.contains("lag=1"))).then_some(())
    })
    .await;
    replica
}

#[tokio::test]
async fn clients_and_workers_follow_a_master_change() {
    let mut master = Server::start().await;
    let replica = replica_of(&master).await;
    let sentinel = Sentinel::watch(master.port, 1).await;
    let client = QueueClient::connect(QueueConfig::new(sentinel.url()).shards(2)).await.unwrap();
    let worker = work(&client, config(8), |_| async { done() });
    let id = client.enqueue(job("acme")).await.unwrap().id();
    until_state(&client, id, JobState::Completed).await;

    master.kill();
    let killed = Instant::now();
    let id = until("a job is taken again", || async { client.enqueue(job("acme")).await.ok() }).await.id();
    let role: Vec<redis::Value> = redis::cmd("ROLE").query_async(&mut replica.redis().await).await.unwrap();
    assert_eq!(redis::from_redis_value_ref::<String>(&role[0]).unwrap(), "master");
    // A waiter is told over the new master's subscription.
    let record = client.wait(id, Duration::from_secs(10)).await.unwrap().unwrap();
    assert_eq!(record.state, JobState::Completed);
    assert!(killed.elapsed() < Duration::from_secs(15), "{:?}", killed.elapsed());

    // The old master comes back and takes itself for one until Sentinel tells it otherwise: nobody follows it.
    master.up().await;
    let id = client.enqueue(job("acme")).await.unwrap().id();
    until_state(&client, id, JobState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_master_that_takes_itself_for_one_is_left_when_the_sentinels_name_another() {
    let old = Server::start().await;
    let new = replica_of(&old).await;
    let sentinel = Sentinel::watch(old.port, 1).await;
    let client = QueueClient::connect(QueueConfig::new(sentinel.url()).shards(1)).await.unwrap();
    let worker = work(&client, config(1), |_| async { done() });
    let id = client.enqueue(job("acme")).await.unwrap().id();
    until_state(&client, id, JobState::Completed).await;

    // Nobody tells the old one, which answers all the time: it was away and came back before the Sentinels looked again.
    let command = async |server: &str, words: &[&str]| {
        let client = redis::Client::open(server).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let _: redis::Value = redis::cmd(words[0]).arg(&words[1..]).query_async(&mut connection).await.unwrap();
    };
    command(&new.url(), &["REPLICAOF", "NO", "ONE"]).await;
    let of_sentinel = format!("redis://127.0.0.1:{}", sentinel.port);
    command(&of_sentinel, &["SENTINEL", "REMOVE", "main"]).await;
    command(&of_sentinel, &["SENTINEL", "MONITOR", "main", "127.0.0.1", &new.port.to_string(), "1"]).await;
    let direct = QueueClient::connect(QueueConfig::new(new.url()).shards(1)).await.unwrap();
    until("jobs reach the new master, and the worker is told of them there", || async {
        let id = client.enqueue(job("acme")).await.ok()?.id();
        let asked = Instant::now();
        let record = client.wait(id, Duration::from_secs(10)).await.ok()??;
        let there = direct.get(id).await.unwrap().is_some();
        // An idle worker asks again by itself only after five seconds.
        (there && record.state == JobState::Completed && asked.elapsed() < Duration::from_secs(2)).then_some(())
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn a_master_that_is_cut_off_is_left_within_two_seconds_of_the_change() {
    let master = Server::start().await;
    let network = Proxy::before(&master).await;
    let near: u16 = network.url.rsplit(':').next().unwrap().parse().unwrap();
    let replica = Server::start_with(&["--replicaof", "127.0.0.1", &near.to_string()]).await;
    until("the replica is in step", || async {
        let info: String = redis::cmd("INFO").arg("replication").query_async(&mut replica.redis().await).await.unwrap();
        info.contains("master_link_status:up").then_some(())
    })
    .await;
    let sentinel = Sentinel::watch(near, 1).await;
    let client = QueueClient::connect(QueueConfig::new(sentinel.url()).shards(2)).await.unwrap();
    let worker = work(&client, config(8), |_| async { done() });
    let waiter = client.enqueue(job("acme").run_at("2100-01-01T00:00:00Z".parse().unwrap())).await.unwrap().id();
    let id = client.enqueue(job("acme")).await.unwrap().id();
    assert_eq!(client.wait(id, PATIENCE).await.unwrap().unwrap().state, JobState::Completed);
    until("the replica has it", || async {
        let keys: u64 = redis::cmd("DBSIZE").query_async(&mut replica.redis().await).await.unwrap();
        (keys > 0).then_some(())
    })
    .await;

    // Nothing passes, and no connection ends.
    network.hold(true);
    let watching = client.clone();
    let (told, _) = futures::future::join(
        async {
            until("the replica is the master", || async {
                // Sentinel ends all connections to the one it promotes, even one that is just being made.
                let replica = redis::Client::open(replica.url()).unwrap();
                let mut connection = replica.get_multiplexed_async_connection().await.ok()?;
                let role: Vec<redis::Value> = redis::cmd("ROLE").query_async(&mut connection).await.ok()?;
                (redis::from_redis_value_ref::<String>(&role[0]).unwrap() == "master").then_some(())
            })
            .await;
            let changed = Instant::now();
            // Enqueued, claimed, completed, and told over the new subscription.
            let id = until("a job is taken", || async { client.enqueue(job("acme")).await.ok() }).await.id();
            let record = until("it can be waited for", || async {
                client.wait(id, Duration::from_secs(10)).await.ok().flatten()
            })
            .await;
            assert_eq!(record.state, JobState::Completed);
            assert_eq!(client.cancel(waiter).await.unwrap(), postrider_queue::Cancelled::Now);
            changed.elapsed()
        },
        async move { watching.wait(waiter, PATIENCE).await },
    )
    .await;
    // Two seconds, and room for a busy machine.
    assert!(told < Duration::from_secs(4), "{told:?}");
    worker.stop().await;
}

/// Stops a process, or lets it go on.
fn signal(server: &Server, name: &str) {
    let pid = server.pid().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
}

#[tokio::test]
async fn an_enqueue_waits_for_a_replica_if_told_to() {
    let master = Server::start().await;
    let replica = replica_of(&master).await;
    let asking = QueueConfig::new(master.url()).shards(1).replicas(1);
    let refused = QueueClient::connect(asking.clone()).await.map(drop).unwrap_err();
    assert!(matches!(refused, QueueError::Setting { setting: "min-replicas-to-write", .. }), "{refused}");
    let mut redis = master.redis().await;
    let set = redis::cmd("CONFIG").arg("SET").arg("min-replicas-to-write").arg(1).to_owned();
    let _: () = set.query_async(&mut redis).await.unwrap();
    let client = QueueClient::connect(asking).await.unwrap();
    assert!(matches!(client.enqueue(job("acme")).await.unwrap(), Enqueued::Created(_)));

    signal(&replica, "-STOP");
    let id = client.job_id(&tenant("acme"));
    let mut silent = job("acme");
    silent.id = Some(id);
    let refused = client.enqueue(silent.clone()).await.unwrap_err();
    assert!(refused.is_transient() && refused.to_string().contains("NOREPLICAS"), "{refused}");
    // Other calls were not held up, and the job is there, only not safe yet.
    assert!(client.get(id).await.unwrap().is_some());
    // A batch and its completion job are promised, too.
    let batch = client.batch_id(&tenant("acme"));
    let refused = client.open_batch(&tenant("acme"), batch, Some(job("acme"))).await.unwrap_err();
    assert!(refused.is_transient() && refused.to_string().contains("NOREPLICAS"), "{refused}");
    signal(&replica, "-CONT");
    client.open_batch(&tenant("acme"), batch, Some(job("acme"))).await.unwrap();
    client.seal_batch(&tenant("acme"), batch).await.unwrap();
    assert_eq!(client.enqueue(silent).await.unwrap(), Enqueued::Exists(id));
}

async fn command(server: &Server, words: &[&str]) {
    let _: redis::Value = redis::cmd(words[0]).arg(&words[1..]).query_async(&mut server.redis().await).await.unwrap();
}

/// Who waits for a replica while its master becomes one is told so in a word of its own.
#[tokio::test]
async fn an_enqueue_that_waits_for_a_replica_during_a_master_change_may_be_repeated() {
    let master = Server::start().await;
    let replica = replica_of(&master).await;
    command(&master, &["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    let client = QueueClient::connect(QueueConfig::new(master.url()).shards(1).replicas(1)).await.unwrap();
    client.enqueue(job("acme")).await.unwrap();
    signal(&replica, "-STOP");
    let change = async {
        until("an enqueue waits", || async {
            let info: String = redis::cmd("INFO").arg("clients").query_async(&mut master.redis().await).await.unwrap();
            (!info.contains("blocked_clients:0")).then_some(())
        })
        .await;
        command(&master, &["REPLICAOF", "127.0.0.1", "1"]).await;
    };
    let (refused, ()) = tokio::join!(client.enqueue(job("acme")), change);
    signal(&replica, "-CONT");
    let refused = refused.unwrap_err();
    assert!(refused.is_transient(), "{refused}");
}

/// A name that leads to whoever is the master, as hosted servers have; nothing ends the connections to the one that was.
#[tokio::test]
async fn callers_and_workers_follow_a_name_that_moves() {
    let old = Server::start().await;
    let new = replica_of(&old).await;
    let name = Proxy::before(&old).await;
    let client = QueueClient::connect(QueueConfig::new(name.url.clone()).shards(1)).await.unwrap();
    let worker = work(&client, config(1), |_| async { done() });
    for _ in 0..5 {
        let id = client.enqueue(job("acme")).await.unwrap().id();
        until_state(&client, id, JobState::Completed).await;
    }
    command(&new, &["REPLICAOF", "NO", "ONE"]).await;
    command(&old, &["REPLICAOF", "127.0.0.1", &new.port.to_string()]).await;
    name.lead_to(&new);
    let id = until("a job is taken", || async { client.enqueue(job("acme")).await.ok() }).await.id();
    let direct = QueueClient::connect(QueueConfig::new(new.url()).shards(1)).await.unwrap();
    until_state(&direct, id, JobState::Completed).await;

    // Nor does anything end the subscription; and the old one may pass on nothing of what the new one tells.
    command(&old, &["REPLICAOF", "127.0.0.1", "1"]).await;
    until("the worker listens at the new master", || async {
        client.enqueue(job("acme")).await.ok()?;
        let mut listeners = redis::cmd("PUBSUB");
        listeners.arg("NUMSUB").arg("pr:cancel");
        let (_, many): (String, u64) = listeners.query_async(&mut new.redis().await).await.unwrap();
        (many > 0).then_some(())
    })
    .await;
    worker.stop().await;
}

/// The same for those who wait for replicas.
#[tokio::test]
async fn enqueues_that_wait_for_a_replica_follow_a_name_that_moves() {
    let old = Server::start().await;
    let new = replica_of(&old).await;
    let last = Server::start_with(&["--replicaof", "127.0.0.1", &new.port.to_string()]).await;
    for server in [&old, &new] {
        command(server, &["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    }
    let name = Proxy::before(&old).await;
    let client = QueueClient::connect(QueueConfig::new(name.url.clone()).shards(1).replicas(1)).await.unwrap();
    client.enqueue(job("acme")).await.unwrap();
    command(&new, &["REPLICAOF", "NO", "ONE"]).await;
    command(&old, &["REPLICAOF", "127.0.0.1", &new.port.to_string()]).await;
    name.lead_to(&new);
    let id = until("a job is taken", || async { client.enqueue(job("acme")).await.ok() }).await.id();
    assert!(client.get(id).await.unwrap().is_some());
    drop(last);
}

/// How many connections a server has taken.
async fn taken_connections(server: &Server) -> u64 {
    let info: String = redis::cmd("INFO").arg("stats").query_async(&mut server.redis().await).await.unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
    line.unwrap().trim().parse().unwrap()
}

/// Each of a process's many calls is told so, and each may look for the master.
#[tokio::test]
async fn a_server_that_is_no_master_for_a_while_is_not_connected_to_all_the_time() {
    let server = Server::start().await;
    let client = server.client_with(16).await;
    let worker = work(&client, config(4), |_| async { done() });
    let id = client.enqueue(job("acme")).await.unwrap().id();
    until_state(&client, id, JobState::Completed).await;
    command(&server, &["REPLICAOF", "127.0.0.1", "1"]).await;
    let before = taken_connections(&server).await;
    let began = Instant::now();
    until("two seconds are over", || async { (began.elapsed() > Duration::from_secs(2)).then_some(()) }).await;
    let many = taken_connections(&server).await - before;
    assert!(many < 60, "{many} connections");
    command(&server, &["REPLICAOF", "NO", "ONE"]).await;
    let id = until("a job is taken", || async { client.enqueue(job("acme")).await.ok() }).await.id();
    until_state(&client, id, JobState::Completed).await;
    worker.stop().await;
}
