//! A master is killed and a replica takes over: whatever a replica had confirmed is done. And a master that is cut off from
//! its replicas while callers still reach it: how much of what it promised alone is lost.

mod cut_off;
mod fleet;
mod network;
mod traffic;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use postrider_queue::{QueueClient, QueueConfig};
use postrider_shared::clock::Clock;
use postrider_tests::runs::{Run, Runs, tally};
use postrider_tests::wait::within;
use postrider_tests::{DatabaseKind, Platform, Process, Report};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tempfile::TempDir;
use tokio::time::Instant;

pub use cut_off::run as cut_off;

use crate::jobs;
use fleet::Fleet;
use traffic::Traffic;

const PATIENCE: Duration = Duration::from_secs(60);
/// From the moment the new master takes writes until a job of each caller runs.
const RESUME_S: f64 = 2.0;
/// The same where other tests run at the same time.
const RESUME_BESIDE_OTHERS_S: f64 = 6.0;

/// So many kills may hit nothing, and are repeated.
const MOST_IN_VAIN: usize = 10;

/// A master with two replicas, watched by a Sentinel.
pub async fn sentinel(seed: u64, short: bool) -> Report {
    let folder = tempfile::tempdir().expect("make a folder");
    let fleet = Fleet::sentinel(folder.path()).await;
    killed("failover", &folder, fleet, seed, short).await
}

/// A cluster of three masters, each with a replica.
pub async fn cluster(seed: u64, short: bool) -> Report {
    let folder = tempfile::tempdir().expect("make a folder");
    let fleet = Fleet::cluster(folder.path()).await;
    killed("failover-cluster", &folder, fleet, seed, short).await
}

/// Two workers at these servers, which note their runs in `runs`.
async fn platform(url: &str, folder: &TempDir) -> (Platform, Runs) {
    let runs = folder.path().join("runs");
    let platform = Platform::with(DatabaseKind::Sqlite)
        .workers(2)
        .schedulers(0)
        .setting("REDIS_URL", &url)
        .setting("REDIS_REPLICAS", &1)
        .setting("RUST_LOG", &"warn,postrider_worker=info,postrider_api=info")
        .setting("DIAGNOSTIC_LEDGER", &runs.display())
        .start()
        .await;
    (platform, Runs::at(runs))
}

async fn connect(url: impl Into<String>, replicas: u32) -> QueueClient {
    QueueClient::connect(QueueConfig::new(url).replicas(replicas)).await.expect("connect to the queue")
}

async fn killed(name: &str, folder: &TempDir, fleet: Fleet, seed: u64, short: bool) -> Report {
    let mut dice = StdRng::seed_from_u64(seed);
    let (kills, allowed_s) = if short { (1, RESUME_BESIDE_OTHERS_S) } else { (3, RESUME_S) };
    let (platform, runs) = platform(&fleet.url(), folder).await;
    let client = connect(fleet.url(), 1).await;
    let traffic = Traffic::start(&client, "drill");
    let (mut held, mut took_over_s, mut taken_again_s) = (0, 0.0_f64, 0.0_f64);
    let (mut taken_after_s, mut resumed_s, mut told_of) = (0.0_f64, 0.0_f64, Vec::new());
    let mut hit_nothing = 0;
    while told_of.len() < kills + hit_nothing {
        let (from, more) = (runs.lines(), dice.random_range(400..1_200));
        within(PATIENCE, "the drain to go on", || async { (runs.lines() > from + more).then_some(()) }).await;
        let group = dice.random_range(0..fleet.groups());
        let victim = fleet.master(group).await;
        fleet.kill(victim);
        let killed = Instant::now();
        let (hit, unanswered_before) = (begun(&runs.read()), traffic.unanswered());
        held += hit;
        let took_over = fleet.taken_over(group, victim).await;
        // As whoever looks after the servers does. It takes itself for the master still.
        fleet.restart(victim).await;
        let writable = fleet.writable(group, victim).await;
        let first =
            within(PATIENCE, "all callers to be served again", || async { traffic.all_taken_since(killed) }).await;
        let taken = first.iter().map(|promise| promise.answered).max().unwrap_or(killed);
        let (clock, now) = (Clock::system().now().timestamp_micros(), Instant::now());
        let writable_us = clock - i64::try_from(now.duration_since(writable).as_micros()).unwrap_or_default();
        // Older jobs may stand before the new ones: it is a job of each caller that counts, not which.
        let ran_us = within(PATIENCE, "jobs of all callers to run", || async {
            let promises = traffic.promises();
            let of: HashMap<&String, usize> =
                promises.iter().flat_map(|promise| promise.jobs.iter().map(|job| (job, promise.caller))).collect();
            let mut began = vec![i64::MAX; first.len()];
            for run in runs.read().iter().filter(|run| !run.ended && run.at_us > writable_us) {
                if let Some(caller) = of.get(&run.job) {
                    began[*caller] = began[*caller].min(run.at_us);
                }
            }
            began.into_iter().max().filter(|last| *last < i64::MAX)
        })
        .await;
        let ran_after_s = seconds(ran_us - writable_us);
        let taken_s = taken.saturating_duration_since(writable).as_secs_f64();
        told_of.push(format!(
            "taken over after {:.2} s, writable after {:.2} s, resumed {ran_after_s:.2} s later",
            took_over.duration_since(killed).as_secs_f64(),
            writable.duration_since(killed).as_secs_f64(),
        ));
        taken_after_s = taken_after_s.max(taken_s);
        took_over_s = took_over_s.max(took_over.duration_since(killed).as_secs_f64());
        taken_again_s = taken_again_s.max(taken.duration_since(killed).as_secs_f64());
        resumed_s = resumed_s.max(ran_after_s);
        // In a cluster only callers of this group notice.
        if (hit == 0 || traffic.unanswered() == unanswered_before) && hit_nothing < MOST_IN_VAIN {
            hit_nothing += 1;
        }
        if told_of.len() < kills + hit_nothing {
            fleet.whole().await;
        }
    }
    let unanswered = traffic.unanswered();
    let accepted = traffic::ids(&traffic.stop().await);
    jobs::drained(&client, Duration::from_secs(120)).await;

    let all = runs.read();
    let tally = tally(&accepted, &all);
    let survived = platform.processes().all(Process::is_running);
    platform.abandon("the drill's own jobs belong to no tenant of the API");
    let mut report = Report::new(name);
    report
        .figure("seed", seed)
        .figure("accepted", accepted.len())
        .figure("done", accepted.len() - tally.lost)
        .figure("lost", tally.lost)
        .figure("repeated", tally.repeated)
        .figure("kills", told_of)
        .figure("held_at_the_kills", held)
        .figure("unanswered_enqueues", unanswered)
        .decimal("replica_took_over_s", took_over_s)
        .decimal("all_enqueues_taken_again_s", taken_again_s)
        .decimal("all_enqueues_taken_after_writable_s", taken_after_s)
        .decimal("jobs_of_all_callers_run_after_writable_s", resumed_s)
        .must("jobs were held at the kills, and enqueues unanswered", held > 0 && unanswered > 0)
        .must("work resumed as soon as promised once the new master took writes", resumed_s <= allowed_s)
        .must("no process ended", survived)
        .must("nothing is lost", tally.lost == 0);
    report
}

/// How many jobs have begun and not ended.
fn begun(runs: &[Run]) -> usize {
    let of =
        |ended: bool| runs.iter().filter(move |run| run.ended == ended).map(|run| &run.job).collect::<HashSet<_>>();
    (&of(false) - &of(true)).len()
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of minutes")]
fn seconds(us: i64) -> f64 {
    us as f64 / 1e6
}
