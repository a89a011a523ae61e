//! Redis is killed and restarted during a drain, several times: workers resume by themselves, nothing is lost.

use std::time::Duration;

use postrider_shared::clock::Clock;
use postrider_tests::runs::{Runs, tally};
use postrider_tests::wait::within;
use postrider_tests::{Process, Report};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::jobs;

const RESUME_S: f64 = 2.0;

pub async fn run(seed: u64, short: bool) -> Report {
    let mut dice = StdRng::seed_from_u64(seed);
    let (count, kills) = if short { (6_000, 1) } else { (20_000, 3) };
    let folder = tempfile::tempdir().expect("make a folder");
    let runs = Runs::at(folder.path().join("runs"));
    let platform = jobs::workers(2, &runs).start().await;
    let client = jobs::client(platform.redis()).await;
    let accepted = jobs::enqueue_sleeps(&client, count, 20).await;

    let mut longest_resume_s: f64 = 0.0;
    for kill in 0..kills {
        let from = runs.lines();
        let more = dice.random_range(count / 20..count / 8);
        within(Duration::from_secs(60), "the drain to go on", || async { (runs.lines() > from + more).then_some(()) })
            .await;
        platform.redis().kill();
        tokio::time::sleep(Duration::from_millis(dice.random_range(100..1_500))).await;
        platform.redis().restart().await;
        let back_us = Clock::system().now().timestamp_micros();
        // A run that begins now was claimed from the new Redis.
        let resumed_us = within(Duration::from_secs(30), &format!("work to resume after kill {kill}"), || async {
            runs.read().iter().find(|run| !run.ended && run.at_us > back_us).map(|run| run.at_us)
        })
        .await;
        let resume = Duration::from_micros(u64::try_from(resumed_us - back_us).unwrap_or_default());
        longest_resume_s = longest_resume_s.max(resume.as_secs_f64());
    }
    jobs::drained(&client, Duration::from_secs(120)).await;

    let tally = tally(&accepted, &runs.read());
    let survived = platform.processes().all(Process::is_running);
    platform.abandon("the drill's own jobs belong to no tenant of the API");
    let mut report = Report::new("redis-kill");
    report
        .figure("seed", seed)
        .figure("accepted", accepted.len())
        .figure("kills", kills)
        .decimal("longest_resume_s", longest_resume_s)
        .figure("lost", tally.lost)
        .figure("repeated", tally.repeated)
        .must("every job was accepted", accepted.len() == count)
        .must("workers resumed within 2 s of Redis's return", longest_resume_s <= RESUME_S)
        .must("no process ended", survived)
        .must("nothing is lost", tally.lost == 0);
    report
}
