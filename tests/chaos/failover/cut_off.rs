//! A master is cut off from its replicas and the Sentinel, while some callers still reach it. A replica takes over, and what
//! the lonely master took alone is discarded when the network is mended. `min-replicas-to-write` bounds for how long it takes
//! anything; whoever waits for a replica is promised nothing meanwhile, and so loses nothing.

use std::time::Duration;

use postrider_tests::ports::Port;
use postrider_tests::redis_sentinel::RedisSentinel;
use postrider_tests::runs::tally;
use postrider_tests::wait::within;
use postrider_tests::{Process, RedisServer, Report};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::time::Instant;

use super::{PATIENCE, connect, fleet, network::Network, platform, traffic, traffic::Traffic};
use crate::jobs;

/// `min-replicas-max-lag` of this drill; Redis's default is 10.
const MAX_LAG_S: f64 = 3.0;
/// The master counts its replicas once a second, and they say a second apart that they live.
const COUNTING_S: f64 = 2.5;
/// A promise that no replica had to confirm is younger than its way there.
const ON_ITS_WAY: Duration = Duration::from_millis(200);

pub async fn run(seed: u64, _short: bool) -> Report {
    let mut dice = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().expect("make a folder");
    let near = Port::reserve();
    let announced = near.number().to_string();
    let mut settings = vec!["--min-replicas-to-write", "1", "--min-replicas-max-lag", "3"];
    let mut replicas = Vec::new();
    settings.extend(["--replica-announce-port", &announced]);
    let master = RedisServer::start_with(&folder.path().join("redis-0"), None, &settings).await;
    let network = Network::to(near, master.port()).await;
    settings.truncate(4);
    settings.extend(["--replicaof", "127.0.0.1", &announced]);
    for place in 1..3 {
        replicas.push(RedisServer::start_with(&folder.path().join(format!("redis-{place}")), None, &settings).await);
    }
    within(PATIENCE, "the replicas to be in step", || async { (fleet::role(&master).await?.good == 2).then_some(()) })
        .await;
    let sentinel = RedisSentinel::watch(&folder.path().join("sentinel"), network.port(), 2).await;

    let (platform, runs) = platform(&sentinel.url(), &folder).await;
    let client = connect(sentinel.url(), 1).await;
    let far_side = Traffic::start(&client, "far");
    // These reach the master whatever becomes of the network.
    let alone = Traffic::start(&connect(master.url(), 0).await, "alone");
    let confirmed = Traffic::start(&connect(master.url(), 1).await, "confirmed");
    let more = dice.random_range(400..1_200);
    within(PATIENCE, "the drain to go on", || async { (runs.lines() > more).then_some(()) }).await;

    network.cut(true);
    let cut = Instant::now();
    let took_over = within(PATIENCE, "a replica to take over", || async {
        for replica in &replicas {
            if fleet::role(replica).await.is_some_and(|role| role.master) {
                return Some(Instant::now());
            }
        }
        None
    })
    .await;
    let first = within(PATIENCE, "the far side to be served again", || async { far_side.all_taken_since(cut) }).await;
    let taken = first.iter().map(|promise| promise.answered).max().unwrap_or(cut);
    within(PATIENCE, "the lonely master to take nothing more", || async {
        let last = alone.promises().last().map(|promise| promise.answered)?;
        (last.elapsed() > Duration::from_secs(2) && alone.unanswered() > 0).then_some(())
    })
    .await;
    let (refused, unanswered) = (alone.unanswered(), far_side.unanswered());
    let (alone, confirmed) = (alone.stop().await, confirmed.stop().await);
    network.cut(false);
    within(PATIENCE, "the old master to follow the new one", || async {
        (!fleet::role(&master).await?.master).then_some(())
    })
    .await;
    let mut accepted = traffic::ids(&far_side.stop().await);
    accepted.extend(traffic::ids(&confirmed));
    jobs::drained(&client, Duration::from_secs(120)).await;

    let all = runs.read();
    let (before, after): (Vec<_>, Vec<_>) = alone.into_iter().partition(|promise| promise.answered + ON_ITS_WAY < cut);
    let window_s = after.last().map_or(0.0, |promise| promise.answered.duration_since(cut).as_secs_f64());
    let sure = confirmed.iter().filter(|promise| promise.sent > cut).count();
    let (promised_alone, in_step) = (traffic::ids(&after), traffic::ids(&before));
    let lost_alone = tally(&promised_alone, &all).lost;
    let of_others = tally(&accepted, &all);
    let survived = platform.processes().all(Process::is_running);
    platform.abandon("the drill's own jobs belong to no tenant of the API");
    let mut report = Report::new("failover-partition");
    report
        .figure("seed", seed)
        .figure("accepted_with_a_replica", accepted.len())
        .figure("lost", of_others.lost)
        .figure("repeated", of_others.repeated)
        .figure("unanswered_enqueues", unanswered)
        .figure("accepted_by_the_lonely_master_with_a_replica", sure)
        .figure("accepted_by_the_lonely_master_alone", promised_alone.len())
        .figure("of_these_lost", lost_alone)
        .figure("of_these_lost_at_most", promised_alone.len())
        .figure("refused_by_the_lonely_master", refused)
        .decimal("it_took_jobs_alone_for_s", window_s)
        .decimal("it_takes_jobs_alone_for_at_most_s", MAX_LAG_S + COUNTING_S)
        .decimal("replica_took_over_s", took_over.duration_since(cut).as_secs_f64())
        .decimal("far_side_served_again_s", taken.duration_since(cut).as_secs_f64())
        .must("the lonely master took jobs alone, and then no more", !promised_alone.is_empty() && refused > 0)
        .must("not for longer than its settings say", window_s <= MAX_LAG_S + COUNTING_S)
        .must("nothing is lost of what a replica confirmed", of_others.lost == 0 && sure == 0)
        .must("nothing is lost of what was accepted before the cut", tally(&in_step, &all).lost == 0)
        .must("no process ended", survived);
    report
}
