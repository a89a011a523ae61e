//! Redis is away for longer than any lease: it stands still, it is dead, or the network to it is cut. Jobs run and are
//! submitted meanwhile. Nobody is taken for dead because of it, nothing is lost, nothing runs twice.

use std::collections::HashSet;
use std::time::Duration;

use postrider_queue::{JobId, QueueClient};
use postrider_shared::clock::Clock;
use postrider_tests::runs::{Run, Runs, tally};
use postrider_tests::wait::within;
use postrider_tests::{Platform, Process, Report};
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::time::Instant;

use crate::clients::Clients;
use crate::jobs;

const RESUME_S: f64 = 2.0;
/// The same where other tests run at the same time.
const RESUME_BESIDE_OTHERS_S: f64 = 6.0;
/// Jobs held when Redis goes.
const LEAST_HELD: usize = 4;
/// Outages that hit fewer are repeated, for so long.
const LIMIT: Duration = Duration::from_secs(10 * 60);
/// Whatever Redis does, the API answers by then: it gives up after 4 s, and there is room for a busy machine.
const ANSWER_S: f64 = 6.0;
const PATIENCE: Duration = Duration::from_secs(60);

/// How it goes away.
#[derive(Debug, Clone, Copy)]
enum Outage {
    /// SIGSTOP: connections stay and nothing answers; what was sent is carried out afterwards.
    Stopped,
    Killed,
    /// What was sent arrives afterwards.
    Cut,
    /// Connections of before end with the cut.
    CutAndReset,
}

pub async fn run(seed: u64, short: bool) -> Report {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut outages = vec![Outage::Stopped, Outage::Killed, Outage::Cut, Outage::CutAndReset];
    outages.shuffle(&mut dice);
    outages.truncate(if short { 1 } else { 4 });
    let allowed_s = if short { RESUME_BESIDE_OTHERS_S } else { RESUME_S };
    let folder = tempfile::tempdir().expect("make a folder");
    let runs = Runs::at(folder.path().join("runs"));
    let platform = jobs::workers(2, &runs).schedulers(1).bad_network(seed).start().await;
    let client = jobs::client(platform.redis()).await;
    let api = platform.tenant("Patience").await;
    let clients = Clients::start(&api, 8, 300);

    let mut told_of = Vec::new();
    let (mut held_in_all, mut least_held, mut taken_away, mut in_vain) = (0, usize::MAX, Vec::new(), 0);
    let (mut longest_resume_s, mut longest_api_resume_s) = (0.0_f64, 0.0_f64);
    let started = Instant::now();
    outages.reverse();
    while let Some(outage) = outages.pop() {
        tokio::time::sleep(Duration::from_millis(dice.random_range(0..500))).await;
        within(PATIENCE, "jobs to be held", || async { (held(&runs.read()).len() >= LEAST_HELD).then_some(()) }).await;
        let length = Duration::from_secs_f64(if short { 7.0 } else { dice.random_range(10.0..60.0) });
        let refused = clients.told().unavailable;
        begin(&platform, outage);
        let held = held(&runs.read());
        if held.len() < LEAST_HELD && started.elapsed() < LIMIT {
            end(&platform, outage).await;
            outages.push(outage);
            continue;
        }
        least_held = least_held.min(held.len());
        tokio::time::sleep(length).await;
        // A stopped or silent Redis is waited for a while before a caller is told.
        let told = Instant::now();
        while clients.told().unavailable == refused && told.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        in_vain += clients.told().unavailable - refused;
        end(&platform, outage).await;

        let back = Instant::now();
        let back_us = Clock::system().now().timestamp_micros();
        let resumed = within(PATIENCE, &format!("work to resume after {outage:?}"), || async {
            let accepted = clients.told().last_accepted.filter(|at| *at > back)?;
            let all = runs.read();
            let begun = all.iter().find(|run| !run.ended && run.at_us > back_us)?;
            Some((begun.at_us - back_us, accepted - back))
        })
        .await;
        let resume_s = Duration::from_micros(u64::try_from(resumed.0).unwrap_or_default()).as_secs_f64();
        longest_resume_s = longest_resume_s.max(resume_s);
        longest_api_resume_s = longest_api_resume_s.max(resumed.1.as_secs_f64());
        told_of.push(format!(
            "{outage:?} for {:.0} s, {} held, resumed after {resume_s:.2} s",
            length.as_secs_f64(),
            held.len()
        ));
        held_in_all += held.len();
        taken_away.extend(again(&client, &held).await);
    }
    let told = clients.finish().await;
    let ended = jobs::all_ended(&client, PATIENCE).await;

    let tally = tally(&told.accepted, &runs.read());
    let reaped = jobs::lost_leases(&platform);
    let survived = platform.processes().all(Process::is_running);
    platform.abandon("the drill looked for leftover jobs itself");
    let mut report = Report::new("redis-outage");
    if !taken_away.is_empty() {
        report.figure("which", taken_away.clone());
    }
    report
        .figure("seed", seed)
        .figure("outages", told_of)
        .figure("accepted", told.accepted.len())
        .figure("held_when_redis_went", held_in_all)
        .figure("held_jobs_taken_away", taken_away.len())
        .figure("api_answers_503_meanwhile", in_vain)
        .decimal("slowest_api_answer_s", told.slowest_s)
        .decimal("longest_resume_s", longest_resume_s)
        .decimal("longest_until_accepted_s", longest_api_resume_s)
        .figure("done", told.accepted.len() - tally.lost)
        .figure("lost", tally.lost)
        .figure("repeated", tally.repeated)
        .figure("leases_lost", reaped)
        .must("every outage hit held jobs", least_held >= LEAST_HELD)
        .must("the API answered 503 meanwhile", in_vain > 0)
        .must("the API answered nothing but 202 and 503", told.others.is_empty())
        .must("it answered in time", told.slowest_s <= ANSWER_S)
        .must("work resumed as soon as promised", longest_resume_s <= allowed_s)
        .must("the API accepted as soon as promised", longest_api_resume_s <= allowed_s)
        .must("nobody was taken for dead", reaped == 0 && taken_away.is_empty())
        .must("every request made one job", told.asked == told.accepted.len() && tally.unknown == 0)
        .must("nothing is lost", tally.lost == 0)
        .must("nothing ran twice", tally.repeated == 0)
        .must("all jobs came to an end", ended)
        .must("no process ended", survived);
    report
}

fn begin(platform: &Platform, outage: Outage) {
    match outage {
        Outage::Stopped => platform.redis().process().pause(),
        Outage::Killed => platform.redis().kill(),
        Outage::Cut => platform.networks().all().for_each(|network| network.cut(false)),
        Outage::CutAndReset => platform.networks().all().for_each(|network| network.cut(true)),
    }
}

async fn end(platform: &Platform, outage: Outage) {
    match outage {
        Outage::Stopped => platform.redis().process().resume(),
        Outage::Killed => platform.redis().restart().await,
        Outage::Cut | Outage::CutAndReset => platform.networks().all().for_each(postrider_tests::Network::mend),
    }
}

/// Jobs that began and did not end.
fn held(runs: &[Run]) -> HashSet<String> {
    let of = |ended: bool| runs.iter().filter(move |run| run.ended == ended).map(|run| run.job.clone());
    let ended: HashSet<String> = of(true).collect();
    of(false).filter(|job| !ended.contains(job)).collect()
}

/// Which of these were taken from their worker, or are suspected of a crash. Whoever takes a job back takes back its attempt, too; a
/// handler that stops because its lease is over by its own clock uses one.
async fn again(client: &QueueClient, held: &HashSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    for id in held {
        let id: JobId = id.parse().expect("a job id");
        let record = within(PATIENCE, "a held job to end", || async {
            client.get(id).await.ok()?.filter(|record| record.state.is_finished())
        })
        .await;
        if record.epoch > record.attempt || record.crashes > 0 {
            found.push(format!("{id}: epoch {}, attempt {}, crashes {}", record.epoch, record.attempt, record.crashes));
        }
    }
    found
}
