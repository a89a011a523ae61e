//! Redis servers of which one takes over when another is killed: a master with replicas and a Sentinel, or a cluster.

use std::path::Path;
use std::time::Duration;

use postrider_tests::redis_sentinel::RedisSentinel;
use postrider_tests::wait::{eventually, within};
use postrider_tests::{RedisServer, ports::Port};
use tokio::time::Instant;

const SLOTS: u32 = 16_384;
/// Nothing here may take longer, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Fleet {
    nodes: Vec<RedisServer>,
    /// Who takes over from whom: places in `nodes`.
    groups: Vec<Vec<usize>>,
    sentinel: Option<RedisSentinel>,
}

/// What `INFO replication` says, as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
pub struct Role {
    pub master: bool,
    /// Replicas of this master that answer in time.
    pub good: usize,
    /// A replica has its master's data.
    in_step: bool,
}

pub async fn role(node: &RedisServer) -> Option<Role> {
    let client = redis::Client::open(node.url()).ok()?;
    let look = async {
        let mut connection = client.get_multiplexed_async_connection().await.ok()?;
        redis::cmd("INFO").arg("replication").query_async::<String>(&mut connection).await.ok()
    };
    let info = tokio::time::timeout(Duration::from_secs(1), look).await.ok()??;
    let fact = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    Some(Role {
        master: fact("role:") == "master",
        good: fact("min_slaves_good_slaves:").parse().unwrap_or_default(),
        in_step: fact("master_link_status:") == "up",
    })
}

impl Fleet {
    /// A master with two replicas, so that one is left to confirm writes when the other has taken over.
    pub async fn sentinel(folder: &Path) -> Self {
        let settings = ["--min-replicas-to-write", "1"];
        let master = RedisServer::start_with(&folder.join("redis-0"), None, &settings).await;
        let of = master.port().to_string();
        let mut nodes = vec![master];
        for place in 1..3 {
            let more = [&settings[..], &["--replicaof", "127.0.0.1", &of]].concat();
            nodes.push(RedisServer::start_with(&folder.join(format!("redis-{place}")), None, &more).await);
        }
        let fleet = Self { nodes, groups: vec![vec![0, 1, 2]], sentinel: None };
        fleet.whole().await;
        let sentinel = RedisSentinel::watch(&folder.join("sentinel"), fleet.nodes[0].port(), 2).await;
        Self { sentinel: Some(sentinel), ..fleet }
    }

    /// Three masters, each with a replica.
    pub async fn cluster(folder: &Path) -> Self {
        let (mut nodes, mut ids, mut buses) = (Vec::new(), Vec::new(), Vec::new());
        for place in 0..6_usize {
            let bus = Port::reserve();
            let number = bus.number().to_string();
            let mut settings =
                vec!["--cluster-enabled", "yes", "--cluster-port", &number, "--min-replicas-to-write", "1"];
            settings.extend(["--cluster-node-timeout", "1000", "--cluster-replica-validity-factor", "0"]);
            // A part of the keys without a master is no reason to refuse the others.
            settings.extend(["--cluster-require-full-coverage", "no"]);
            let node = RedisServer::start_with(&folder.join(format!("redis-{place}")), None, &settings).await;
            ids.push(ask::<String>(&node, &["MYID"]).await);
            nodes.push(node);
            buses.push(bus);
        }
        for (place, node) in (0_u32..).zip(&nodes) {
            if place < 3 {
                let (from, till) = (SLOTS * place / 3, SLOTS * (place + 1) / 3 - 1);
                ask::<()>(node, &["ADDSLOTSRANGE", &from.to_string(), &till.to_string()]).await;
            }
            ask::<()>(node, &["SET-CONFIG-EPOCH", &(place + 1).to_string()]).await;
            let (port, bus) = (node.port().to_string(), buses[place as usize].number().to_string());
            if place > 0 {
                ask::<()>(&nodes[0], &["MEET", "127.0.0.1", &port, &bus]).await;
            }
        }
        for place in 3..6 {
            eventually("the replica to know its master", || async {
                ask::<String>(&nodes[place], &["NODES"]).await.contains(&ids[place - 3]).then_some(())
            })
            .await;
            ask::<()>(&nodes[place], &["REPLICATE", &ids[place - 3]]).await;
        }
        for node in &nodes {
            within(PATIENCE, "the cluster to be whole", || async {
                let text = ask::<String>(node, &["NODES"]).await;
                let linked = text.lines().filter(|line| line.contains(" connected")).count();
                let ok = ask::<String>(node, &["INFO"]).await.contains("cluster_state:ok");
                (ok && linked == 6 && text.matches("slave").count() == 3).then_some(())
            })
            .await;
        }
        std::mem::forget(buses); // the ports stay ours as long as the process lives
        let fleet = Self { nodes, groups: (0..3).map(|place| vec![place, place + 3]).collect(), sentinel: None };
        fleet.whole().await;
        fleet
    }

    pub fn url(&self) -> String {
        if let Some(sentinel) = &self.sentinel {
            return sentinel.url();
        }
        let places: Vec<_> = self.nodes.iter().map(RedisServer::address).collect();
        format!("redis+cluster://{}", places.join(","))
    }

    pub const fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Waits until every group has one master, and all others follow it and are in step.
    pub async fn whole(&self) {
        for group in &self.groups {
            within(PATIENCE, "all replicas to follow their master", || async {
                let (mut masters, mut following, mut good) = (0, 0, 0);
                for place in group {
                    let role = role(&self.nodes[*place]).await?;
                    masters += usize::from(role.master);
                    following += usize::from(!role.master && role.in_step);
                    good += role.good;
                }
                (masters == 1 && following == group.len() - 1 && good == following).then_some(())
            })
            .await;
        }
    }

    /// The master of a group that is whole.
    pub async fn master(&self, group: usize) -> usize {
        for place in &self.groups[group] {
            if role(&self.nodes[*place]).await.is_some_and(|role| role.master) {
                return *place;
            }
        }
        panic!("group {group} has no master");
    }

    pub fn kill(&self, place: usize) {
        self.nodes[place].kill();
    }

    pub async fn restart(&self, place: usize) {
        self.nodes[place].restart().await;
    }

    /// Waits until a replica of the group has taken over from the one that was killed; returns when that was.
    pub async fn taken_over(&self, group: usize, killed: usize) -> Instant {
        self.new_master(group, killed, 0).await
    }

    /// The same, and a replica follows it, so that it takes writes.
    pub async fn writable(&self, group: usize, killed: usize) -> Instant {
        self.new_master(group, killed, 1).await
    }

    async fn new_master(&self, group: usize, killed: usize, good: usize) -> Instant {
        within(PATIENCE, "a replica to take over", || async {
            for place in self.groups[group].iter().filter(|place| **place != killed) {
                if role(&self.nodes[*place]).await.is_some_and(|role| role.master && role.good >= good) {
                    return Some(Instant::now());
                }
            }
            None
        })
        .await
    }
}

async fn ask<T: redis::FromRedisValue>(node: &RedisServer, words: &[&str]) -> T {
    redis::cmd("CLUSTER").arg(words).query_async(&mut node.connection().await).await.expect("an answer of the cluster")
}
