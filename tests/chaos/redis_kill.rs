//! Redis is killed and restarted while jobs are enqueued and done, and loses with its life all that it had not synced to
//! disk, as in a power cut. Nothing that anybody was told of is gone, and everybody resumes by themselves.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postrider_queue::{JobId, JobState, QueueClient};
use postrider_shared::clock::Clock;
use postrider_tests::runs::{Runs, tally};
use postrider_tests::wait::within;
use postrider_tests::{Process, Report};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::jobs;

const RESUME_S: f64 = 2.0;
/// The same where other tests run at the same time.
const RESUME_BESIDE_OTHERS_S: f64 = 6.0;
/// A sync takes so much longer than the machine's disk needs, so that a kill often finds something that is not synced.
const SYNC: Duration = Duration::from_millis(4);
const ENQUEUERS: usize = 8;
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// What somebody was told, and must stay true.
#[derive(Debug, Default)]
struct Told {
    accepted: HashSet<String>,
    /// Seen as completed by a reader, in that order.
    completed: Vec<String>,
}

pub async fn run(seed: u64, short: bool) -> Report {
    let mut dice = StdRng::seed_from_u64(seed);
    // Kills go on until so many took something away.
    let (least_kills, least_cuts) = if short { (2, 1) } else { (20, 10) };
    let allowed_s = if short { RESUME_BESIDE_OTHERS_S } else { RESUME_S };
    let folder = tempfile::tempdir().expect("make a folder");
    let runs = Runs::at(folder.path().join("runs"));
    let platform = jobs::workers(2, &runs).slow_disk(SYNC).start().await;
    let client = jobs::client(platform.redis()).await;
    let told: Arc<Mutex<Told>> = Arc::default();
    let mut witnesses = JoinSet::new();
    for _ in 0..ENQUEUERS {
        witnesses.spawn(enqueue(client.clone(), Arc::clone(&told)));
    }
    witnesses.spawn(look(client.clone(), runs.clone(), Arc::clone(&told)));

    let (mut kills, mut cuts, mut bytes_lost, mut untrue) = (0, 0, 0, 0);
    let mut longest_resume_s: f64 = 0.0;
    let started = Instant::now();
    while (kills < least_kills || cuts < least_cuts) && started.elapsed() < LIMIT {
        let from = runs.lines();
        within(Duration::from_secs(60), "jobs to be done", || async { (runs.lines() > from + 200).then_some(()) })
            .await;
        tokio::time::sleep(Duration::from_millis(dice.random_range(0..500))).await;
        platform.redis().kill();
        let lost = platform.redis().lose_unsynced();
        // What was synced long ago is in no danger.
        let last_completed: Vec<String> = lock(&told).completed.iter().rev().take(300).cloned().collect();
        kills += 1;
        cuts += usize::from(lost > 0);
        bytes_lost += lost;
        tokio::time::sleep(Duration::from_millis(dice.random_range(0..1_000))).await;
        platform.redis().restart().await;
        let back_us = Clock::system().now().timestamp_micros();
        // A run that begins now was claimed from the new Redis.
        let resumed_us = within(Duration::from_secs(60), &format!("work to resume after kill {kills}"), || async {
            runs.read().iter().find(|run| !run.ended && run.at_us > back_us).map(|run| run.at_us)
        })
        .await;
        let resume = Duration::from_micros(u64::try_from(resumed_us - back_us).unwrap_or_default());
        longest_resume_s = longest_resume_s.max(resume.as_secs_f64());
        untrue += undone(&client, &last_completed).await;
    }
    witnesses.shutdown().await;
    let ended = jobs::all_ended(&client, Duration::from_secs(120)).await;

    let told = std::mem::take(&mut *lock(&told));
    let tally = tally(&told.accepted, &runs.read());
    let survived = platform.processes().all(Process::is_running);
    platform.abandon("the drill's own jobs belong to no tenant of the API");
    let mut report = Report::new("redis-kill");
    report
        .figure("seed", seed)
        .figure("accepted", told.accepted.len())
        .figure("seen_as_completed", told.completed.len())
        .figure("kills", kills)
        .figure("kills_that_took_unsynced_bytes", cuts)
        .figure("unsynced_bytes_taken", bytes_lost)
        .decimal("longest_resume_s", longest_resume_s)
        .figure("done", told.accepted.len() - tally.lost)
        .figure("lost", tally.lost)
        .figure("completions_taken_back", untrue)
        .figure("repeated_because_their_end_was_not_confirmed", tally.repeated)
        .must("enough kills took something that was not synced", kills >= least_kills && cuts >= least_cuts)
        .must("workers resumed as soon as promised after Redis's return", longest_resume_s <= allowed_s)
        .must("all jobs came to an end", ended)
        .must("no process ended", survived)
        .must("nothing accepted is lost", tally.lost == 0)
        .must("what was seen as completed stays so", untrue == 0);
    report
}

fn lock(told: &Mutex<Told>) -> MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Enqueues one job after another, and remembers those that Redis confirmed.
async fn enqueue(client: QueueClient, told: Arc<Mutex<Told>>) {
    for number in 0.. {
        match client.enqueue(jobs::sleep(number, 20)).await {
            Ok(answer) => {
                lock(&told).accepted.insert(answer.id().to_string());
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Reads the records of jobs whose runs ended, and remembers those that Redis calls completed.
async fn look(client: QueueClient, runs: Runs, told: Arc<Mutex<Told>>) {
    let mut seen = 0;
    loop {
        let all = runs.read();
        for run in all[seen..].iter().filter(|run| run.ended) {
            let id: JobId = run.job.parse().expect("a job id");
            if let Ok(Some(record)) = client.get(id).await
                && record.state == JobState::Completed
            {
                lock(&told).completed.push(run.job.clone());
            }
        }
        seen = all.len();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// How many of these jobs are not completed any more.
async fn undone(client: &QueueClient, completed: &[String]) -> usize {
    let mut count = 0;
    for id in completed {
        let record = within(Duration::from_secs(60), "a record", || async {
            client.get(id.parse().expect("a job id")).await.ok()
        })
        .await;
        count += usize::from(record.is_none_or(|record| record.state != JobState::Completed));
    }
    count
}
