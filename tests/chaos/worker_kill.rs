//! Two workers, one killed while it holds jobs: every job ends, and soon.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use postrider_shared::clock::Clock;
use postrider_tests::Report;
use postrider_tests::runs::{Run, Runs, tally};
use postrider_tests::wait::within;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::jobs;

/// Session TTL (6 s) and the 3 s in which its jobs must run again.
const RECOVERY_S: f64 = 9.0;
const PATIENCE: Duration = Duration::from_secs(60);
/// How long kills go on that hit nothing.
const LIMIT: Duration = Duration::from_secs(5 * 60);

pub async fn run(seed: u64, short: bool) -> Report {
    let mut dice = StdRng::seed_from_u64(seed);
    let count = if short { 400 } else { 1_000 };
    let folder = tempfile::tempdir().expect("make a folder");
    let runs = Runs::at(folder.path().join("runs"));
    // Little concurrency, so that the jobs are not over before the kill.
    let platform = jobs::workers(2, &runs).setting("WORKER_CONCURRENCY", &8).start().await;
    let client = jobs::client(platform.redis()).await;
    let (mut accepted, mut enqueued, mut kills) = (HashSet::new(), 0, 0);
    let started = Instant::now();
    let (process, killed_us, held) = loop {
        let before = runs.read().iter().filter(|run| run.ended).count();
        accepted.extend(jobs::enqueue_sleeps(&client, count, 50).await);
        enqueued += count;
        let victim = platform.worker(dice.random_range(0..2_usize));
        let process = victim.pid().expect("a running worker");
        let kill_after = before + dice.random_range(count / 10..count / 3);
        within(PATIENCE, "the drain to go on", || async {
            (runs.read().iter().filter(|run| run.ended).count() >= kill_after).then_some(())
        })
        .await;
        victim.kill();
        kills += 1;
        let killed_us = Clock::system().now().timestamp_micros();
        let held = held_by(process, &runs.read());
        if !held.is_empty() || started.elapsed() > LIMIT {
            break (process, killed_us, held);
        }
        // It had just ended all it had.
        victim.kill_and_restart().await;
    };
    jobs::drained(&client, PATIENCE).await;

    let all = runs.read();
    let elsewhere: Vec<i64> = held
        .iter()
        .filter_map(|job| all.iter().find(|run| run.job == *job && run.process != process).map(|run| run.at_us))
        .collect();
    let recovery_s = elsewhere.iter().map(|at| seconds(at - killed_us)).fold(0.0, f64::max);
    let tally = tally(&accepted, &all);
    platform.abandon("the drill's own jobs belong to no tenant of the API");

    let mut report = Report::new("worker-kill");
    report
        .figure("seed", seed)
        .figure("accepted", accepted.len())
        .figure("kills", kills)
        .figure("held_by_the_killed", held.len())
        .decimal("until_they_ran_elsewhere_s", recovery_s)
        .figure("lost", tally.lost)
        .figure("repeated", tally.repeated)
        .must("every job was accepted", accepted.len() == enqueued)
        .must("the killed worker held jobs", !held.is_empty())
        .must("its jobs ran elsewhere", elsewhere.len() == held.len())
        .must("they ran within 3 s of the session's expiry", recovery_s <= RECOVERY_S)
        .must("nothing is lost", tally.lost == 0);
    report
}

/// Jobs that a process began and did not end.
fn held_by(process: u32, runs: &[Run]) -> HashSet<String> {
    let of = |ended: bool| {
        let mine = runs.iter().filter(move |run| run.process == process && run.ended == ended);
        mine.map(|run| run.job.clone()).collect::<HashSet<_>>()
    };
    &of(false) - &of(true)
}

fn seconds(us: i64) -> f64 {
    std::time::Duration::from_micros(u64::try_from(us).unwrap_or_default()).as_secs_f64()
}
