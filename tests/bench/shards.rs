//! Shards on several Redis servers: does a second server carry a second load?

use postrider_queue::{QueueClient, QueueConfig};
use postrider_tests::Report;

use crate::bed::Bed;
use crate::contestant::Contestant;
use crate::lifecycle::{Life, Plan};

/// So many tenants that every shard has work.
const TENANTS: usize = 64;

/// Why the engine does not take several servers; nothing if it does.
pub async fn missing() -> Option<String> {
    let bed = Bed::of_servers(2, None).await;
    QueueClient::connect(QueueConfig::new(bed.url())).await.err().map(|error| error.to_string())
}

/// A life of jobs of many tenants, worked off by two processes, over so many servers.
pub async fn measure(servers: usize, jobs: usize, appendfsync: Option<&str>) -> (Life, Plan) {
    let bed = Bed::of_servers(servers, appendfsync).await;
    let plan = Plan { tenants: TENANTS, processes: 2, ..Plan::new(Contestant::Engine, jobs) };
    (Life::live_on(&bed, plan).await, plan)
}

pub async fn run(servers: usize, jobs: usize, appendfsync: Option<&str>) -> Report {
    let (one, _) = measure(1, jobs, appendfsync).await;
    let (several, plan) = measure(servers, jobs, appendfsync).await;
    let mut report = several.report("shards", plan);
    report
        .figure("servers", servers)
        .decimal("drained_per_s_of_one_server", one.drain_per_s)
        .decimal("bulk_ratio", several.bulk_per_s / one.bulk_per_s)
        .decimal("drain_ratio", several.drain_per_s / one.drain_per_s);
    report
}
