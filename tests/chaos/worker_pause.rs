//! A worker stands still past its lease and wakes: its jobs ran elsewhere meanwhile, and none of its outcomes is believed.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use postrider_queue::{JobId, QueueClient};
use postrider_shared::jobs::Queue;
use postrider_tests::Report;
use postrider_tests::runs::{Run, Runs, tally};
use postrider_tests::wait::within;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::jobs;

const PATIENCE: Duration = Duration::from_secs(60);

pub async fn run(seed: u64, short: bool) -> Report {
    let mut dice = StdRng::seed_from_u64(seed);
    let rounds = if short { 1 } else { 10 };
    let folder = tempfile::tempdir().expect("make a folder");
    let runs = Runs::at(folder.path().join("runs"));
    let platform = jobs::workers(2, &runs).setting("WORKER_CONCURRENCY", &8).start().await;
    let client = jobs::client(platform.redis()).await;
    let (mut accepted, mut held_in_all, mut believed, mut charged) = (HashSet::new(), 0, 0, 0);
    for round in 0..rounds {
        let victim = platform.worker(dice.random_range(0..2_usize));
        let pid = victim.pid().expect("a running worker");
        let started = Instant::now();
        // Until it holds jobs in the moment in which it stops.
        let held = loop {
            let of_round = jobs::enqueue_sleeps(&client, 48, 500).await;
            within(PATIENCE, "the worker to be busy", || async {
                let begun = runs.read().iter().any(|run| run.process == pid && of_round.contains(&run.job));
                begun.then_some(())
            })
            .await;
            tokio::time::sleep(Duration::from_millis(dice.random_range(0..400))).await;
            victim.pause();
            let held = held_by(pid, &of_round, &runs.read());
            accepted.extend(of_round);
            if held.len() >= 4 || started.elapsed() > PATIENCE {
                break held;
            }
            victim.resume();
            jobs::drained(&client, PATIENCE).await;
        };
        within(PATIENCE, &format!("its jobs to end elsewhere in round {round}"), || async {
            let all = runs.read();
            let elsewhere = |job: &String| all.iter().any(|run| run.ended && run.job == *job && run.process != pid);
            held.iter().all(elsewhere).then_some(())
        })
        .await;
        jobs::drained(&client, PATIENCE).await;
        let before = completed(&client).await;
        victim.resume();
        // Its next job shows that it is well, and that what it brought along was dealt with.
        let woken = Instant::now();
        loop {
            let more = jobs::enqueue_sleeps(&client, 8, 50).await;
            jobs::drained(&client, PATIENCE).await;
            let well = runs.read().iter().any(|run| run.process == pid && more.contains(&run.job));
            accepted.extend(more);
            if well {
                break;
            }
            assert!(woken.elapsed() < PATIENCE, "the woken worker takes no job again");
        }
        believed += u64::from(completed(&client).await < before);
        for id in &held {
            let record = client.get(id.parse::<JobId>().expect("a job id")).await.expect("read the record");
            let record = record.expect("its record is kept");
            // Claimed twice, completed once, by the one that held it last.
            believed += u64::from(record.epoch != 2 || record.attempt != 1);
            charged += u64::from(record.crashes > 1);
        }
        held_in_all += held.len();
    }
    let all = runs.read();
    let tally = tally(&accepted, &all);
    let completed = completed(&client).await;
    // Its log may be a moment behind.
    let told = Instant::now();
    while jobs::refused_outcomes(&platform) < held_in_all && told.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let refused = jobs::refused_outcomes(&platform);
    platform.abandon("the drill's own jobs belong to no tenant of the API");
    let mut report = Report::new("worker-pause");
    report
        .figure("seed", seed)
        .figure("accepted", accepted.len())
        .figure("pauses", rounds)
        .figure("held_by_the_paused", held_in_all)
        .figure("stale_outcomes_refused", refused)
        .figure("stale_outcomes_believed", believed)
        .figure("completed", completed)
        .figure("lost", tally.lost)
        .figure("handlers_that_ran_to_their_end_again", tally.repeated)
        .must("the paused worker held jobs", held_in_all >= 4 * rounds)
        .must("every outcome it brought was refused", refused >= held_in_all)
        .must("none was believed", believed == 0)
        .must("one completion per job", usize::try_from(completed).is_ok_and(|done| done == accepted.len()))
        .must("nobody is suspected", charged == 0)
        .must("nothing is lost", tally.lost == 0);
    report
}

async fn completed(client: &QueueClient) -> u64 {
    client.queue(&Queue::Diagnostics.name()).await.expect("read the queue").completed
}

/// Jobs that a process began and nobody ended.
fn held_by(process: u32, jobs: &HashSet<String>, runs: &[Run]) -> HashSet<String> {
    let ended: HashSet<&str> = runs.iter().filter(|run| run.ended).map(|run| run.job.as_str()).collect();
    let begun = runs.iter().filter(|run| run.process == process && !run.ended);
    begun.map(|run| run.job.clone()).filter(|job| jobs.contains(job) && !ended.contains(job.as_str())).collect()
}
