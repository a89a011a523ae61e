//! A job that kills its process among a thousand, then random kills of workers under ordinary load: only the first is
//! buried, and nobody else ever.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use postrider_queue::{NewJob, QueueClient, Tenant};
use postrider_shared::jobs::Queue;
use postrider_shared::jobs::diagnostic::DiagnosticCrash;
use postrider_tests::runs::{Run, Runs, tally};
use postrider_tests::{Platform, Report};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::jobs;

const WORKERS: usize = 2;
/// How long each part may take.
const LIMIT: Duration = Duration::from_secs(15 * 60);

pub async fn run(seed: u64, short: bool) -> Report {
    let mut dice = StdRng::seed_from_u64(seed);
    let (neighbours, most_hits) = if short { (199, 6) } else { (999, 100) };
    let folder = tempfile::tempdir().expect("make a folder");
    let runs = Runs::at(folder.path().join("runs"));
    let platform = jobs::workers(WORKERS, &runs).setting("WORKER_CONCURRENCY", &8).start().await;
    let client = jobs::client(platform.redis()).await;
    let mut workers: HashSet<u32> = platform.workers().iter().filter_map(postrider_tests::Process::pid).collect();
    let mut report = Report::new("poison");

    // One that kills its process among many that do not.
    let bomb = NewJob::of(Tenant::parse("drill-0").expect("a tenant's name"), &DiagnosticCrash { lane: None });
    let mut accepted = jobs::enqueue_sleeps(&client, neighbours / 2, 50).await;
    let bomb = client.enqueue(bomb.expect("a job")).await.expect("enqueue").id();
    accepted.extend(jobs::enqueue_sleeps(&client, neighbours - neighbours / 2, 50).await);
    let mut crashes = 0;
    let started = Instant::now();
    while !drained(&client).await && started.elapsed() < LIMIT {
        crashes += revive(&platform, &mut workers).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let record = client.get(bomb).await.expect("read the record").expect("its record is kept");
    let dead = dead(&client).await;
    let first = tally(&accepted, &runs.read());
    report
        .figure("seed", seed)
        .figure("neighbours", accepted.len())
        .figure("workers_that_the_poison_killed", crashes)
        .figure("dead", dead)
        .figure("neighbours_done", accepted.len() - first.lost)
        .must("the neighbours were accepted", accepted.len() == neighbours)
        .must("exactly one is dead", dead == 1)
        .must("it is the poison", record.error.is_some_and(|error| error.starts_with("poison: ")))
        .must("it killed two workers", crashes == 2)
        .must("every neighbour is done", first.lost == 0);

    // Workers that are killed for no fault of any job.
    let (mut kills, mut hits) = (0, 0);
    let started = Instant::now();
    while hits < most_hits && started.elapsed() < LIMIT {
        accepted.extend(jobs::enqueue_sleeps(&client, 20, 300).await);
        tokio::time::sleep(Duration::from_millis(dice.random_range(100..900))).await;
        let victim = platform.worker(dice.random_range(0..WORKERS));
        let pid = victim.pid();
        victim.kill();
        kills += 1;
        let all = runs.read();
        hits += usize::from(pid.is_some_and(|pid| holds(&accepted, pid, &all)));
        revive(&platform, &mut workers).await;
    }
    jobs::drained(&client, LIMIT).await;
    let all = runs.read();
    let second = tally(&accepted, &all);
    let children: HashSet<u32> = all.iter().map(|run| run.process).filter(|pid| !workers.contains(pid)).collect();
    let buried = self::dead(&client).await - dead;
    platform.abandon("the drill's own jobs belong to no tenant of the API");
    report
        .figure("random_kills", kills)
        .figure("kills_that_hit_a_held_job", hits)
        .figure("ordinary_jobs", accepted.len())
        .figure("of_which_ran_quarantined", children.len())
        .figure("innocents_buried", buried)
        .figure("lost", second.lost)
        .figure("repeated", second.repeated)
        .must("enough kills hit a held job", hits >= most_hits)
        .must("no innocent is buried", buried == 0)
        .must("nothing is lost", second.lost == 0);
    report
}

/// What a supervisor does: starts workers that ended. Returns how many had.
async fn revive(platform: &Platform, pids: &mut HashSet<u32>) -> usize {
    let mut ended = 0;
    for worker in platform.workers().iter().filter(|worker| !worker.is_running()) {
        ended += 1;
        worker.kill_and_restart().await;
        pids.extend(worker.pid());
    }
    ended
}

async fn drained(client: &QueueClient) -> bool {
    let stats = client.queue(&Queue::Diagnostics.name()).await.expect("read the queue");
    stats.available + stats.scheduled + stats.retryable + stats.running == 0
}

async fn dead(client: &QueueClient) -> u64 {
    client.queue(&Queue::Diagnostics.name()).await.expect("read the queue").dead
}

/// Whether a process began a job that it did not end.
fn holds(jobs: &HashSet<String>, process: u32, runs: &[Run]) -> bool {
    let of = |ended: bool| runs.iter().filter(|run| run.process == process && run.ended == ended).count();
    !jobs.is_empty() && of(false) > of(true)
}
