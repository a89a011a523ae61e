//! Mail comes in while api, workers, scheduler and Redis are killed at seeded moments; the sandbox, which is the world
//! outside, is never killed. Every request must be handled, and nobody may get two replies.

mod hits;
mod verdict;

use std::time::{Duration, Instant};

use postrider_tests::mails::simple_request;
use postrider_tests::{DatabaseKind, Platform, Report};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;

use hits::Hits;

/// How long the whole run may take.
const LIMIT: Duration = Duration::from_secs(25 * 60);
const PER_ROUND: usize = 5;

/// What a round kills.
#[derive(Debug, Clone, Copy)]
enum Victim {
    /// Both workers, in the moment after the server accepted a reply.
    WorkersAfterAccept,
    /// Both workers, at any moment.
    Workers,
    OneWorker,
    Redis,
    Api,
    Scheduler,
}

const VICTIMS: [Victim; 8] = [
    Victim::WorkersAfterAccept,
    Victim::WorkersAfterAccept,
    Victim::Workers,
    Victim::Workers,
    Victim::OneWorker,
    Victim::Redis,
    Victim::Api,
    Victim::Scheduler,
];

pub async fn run(seed: u64, short: bool) -> Report {
    let mut dice = StdRng::seed_from_u64(seed);
    let (mails, most_held, most_accepted) = if short { (30, 3, 2) } else { (200, 20, 10) };
    let started = Instant::now();
    let platform = Platform::with(DatabaseKind::Sqlite).workers(2).start().await;
    let settings = json!({ "daily_cap": 10_000, "poll_interval_seconds": 10 });
    let office = platform.workshop_with(settings).await;
    // Between accepting a message and saying so the server takes its time: there a kill leaves the sender in doubt.
    platform.sandbox().fault(json!({ "target": "smtp", "kind": "latency", "stage": "accepted", "ms": 250 })).await;

    let mut hits = Hits::default();
    let mut requests = Vec::new();
    let mut kills = 0;
    while (requests.len() < mails || hits.held < most_held || hits.after_accept < most_accepted)
        && started.elapsed() < LIMIT
    {
        for _ in 0..PER_ROUND {
            let request = simple_request(requests.len(), &office.address);
            platform.sandbox().deliver(&office.address, request.raw.clone()).await;
            requests.push(request);
        }
        let victim = VICTIMS[dice.random_range(0..VICTIMS.len())];
        strike(&platform, victim, &mut dice, &mut hits).await;
        kills += 1;
    }
    platform.sandbox().clear_faults().await;
    let handled_at = verdict::settle(&platform, requests.len()).await;
    let mut report = Report::new("pipeline-kill");
    report
        .figure("seed", seed)
        .figure("kills", kills)
        .figure("kills_that_hit_a_held_job", hits.held)
        .figure("kills_between_accept_and_commit", hits.after_accept)
        .must("enough kills hit a held job", hits.held >= most_held)
        .must("enough kills fell between accept and commit", hits.after_accept >= most_accepted)
        .must("all jobs came to an end", handled_at.is_some());
    verdict::judge(&platform, &office, &requests, &mut report).await;
    report.decimal("took_s", started.elapsed().as_secs_f64());
    platform.abandon("the verdict looked for leftover jobs itself");
    report
}

async fn strike(platform: &Platform, victim: Victim, dice: &mut StdRng, hits: &mut Hits) {
    let moment = Duration::from_millis(dice.random_range(0..3_000));
    match victim {
        Victim::WorkersAfterAccept => {
            let seen = platform.sandbox().accepted().await.len();
            let wait = platform.sandbox().client().wait_accepted(seen + 1, Duration::from_secs(20));
            wait.await.expect("the sandbox's ledger");
            kill_workers(platform, hits).await;
        }
        Victim::Workers => {
            tokio::time::sleep(moment).await;
            kill_workers(platform, hits).await;
        }
        Victim::OneWorker => {
            tokio::time::sleep(moment).await;
            platform.worker(dice.random_range(0..2_usize)).kill_and_restart().await;
        }
        Victim::Redis => {
            tokio::time::sleep(moment).await;
            platform.redis().kill();
            platform.redis().restart().await;
        }
        Victim::Api => {
            tokio::time::sleep(moment).await;
            platform.api_process(0).kill_and_restart().await;
        }
        Victim::Scheduler => {
            tokio::time::sleep(moment).await;
            platform.scheduler(0).kill_and_restart().await;
        }
    }
}

/// Kills both workers, counts what they held, and starts them again.
async fn kill_workers(platform: &Platform, hits: &mut Hits) {
    for worker in platform.workers() {
        worker.kill();
    }
    hits.count(platform).await;
    for worker in platform.workers() {
        worker.start();
    }
    for worker in platform.workers() {
        worker.ready().await;
    }
}
