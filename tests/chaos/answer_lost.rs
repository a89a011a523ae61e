//! Any call to Redis, of any process, may be carried out and yet not be answered: the connection ends instead, or the
//! answer comes late, perhaps after the caller gave up. Everything accepted is done, once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use postrider_tests::runs::{Runs, tally};
use postrider_tests::{Process, Report};

use crate::clients::Clients;
use crate::jobs;

/// Of so many answers one is lost.
const ONE_IN: u32 = 60;
/// How long answers are lost at most.
const LIMIT: Duration = Duration::from_secs(10 * 60);
/// The calls of which answers must have been lost; whatever else is called loses some, too. A scheduler's step of maintenance is
/// the same call as a worker's, and it takes one only where no worker did for a while, so it may not happen at all.
const MUST_HIT: [&str; 5] = ["api enqueue", "worker turn", "worker renew", "worker tick", "scheduler look"];

pub async fn run(seed: u64, short: bool) -> Report {
    let (least, of_each) = if short { (40, 1) } else { (1_000, 20) };
    let folder = tempfile::tempdir().expect("make a folder");
    let runs = Runs::at(folder.path().join("runs"));
    let platform = jobs::workers(2, &runs).schedulers(1).bad_network(seed).start().await;
    let api = platform.tenant("Unanswered").await;

    let clients = Clients::start(&api, 8, 20);
    platform.networks().all().for_each(|network| network.lose_one_in(ONE_IN));
    let started = Instant::now();
    let enough = |hits: &BTreeMap<String, usize>| {
        let of =
            |call: &str| hits.iter().filter(|(name, _)| name.starts_with(call)).map(|(_, hits)| hits).sum::<usize>();
        hits.values().sum::<usize>() >= least && MUST_HIT.iter().all(|call| of(call) >= of_each)
    };
    while !enough(&platform.networks().hits()) && started.elapsed() < LIMIT {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let hits = platform.networks().hits();
    platform.networks().all().for_each(|network| network.lose_one_in(0));
    let told = clients.finish().await;
    let client = jobs::client(platform.redis()).await;
    let ended = jobs::all_ended(&client, Duration::from_secs(60)).await;

    let tally = tally(&told.accepted, &runs.read());
    let (lost_leases, refused) = (jobs::lost_leases(&platform), jobs::refused_outcomes(&platform));
    let survived = platform.processes().all(Process::is_running);
    platform.abandon("the drill looked for leftover jobs itself");
    let mut report = Report::new("answer-lost");
    report
        .figure("seed", seed)
        .figure("accepted", told.accepted.len())
        .figure("answers_lost", hits.values().sum::<usize>())
        .figure("answers_lost_by_call", serde_json::json!(hits))
        .figure("api_answers_503", told.unavailable)
        .decimal("slowest_api_answer_s", told.slowest_s)
        .figure("done", told.accepted.len() - tally.lost)
        .figure("lost", tally.lost)
        .figure("repeated", tally.repeated)
        .figure("not_asked_for", tally.unknown)
        .figure("leases_lost", lost_leases)
        .figure("outcomes_refused", refused)
        .must("answers of all sorts were lost", enough(&hits))
        .must("every request made one job", told.asked == told.accepted.len() && tally.unknown == 0)
        .must("the API answered nothing but 202 and 503", told.others.is_empty())
        .must("nothing is lost", tally.lost == 0)
        .must("nothing ran twice whose lease was kept", tally.repeated <= refused)
        .must("all jobs came to an end", ended)
        .must("no process ended", survived);
    report
}
