//! Messages go out as Gmail drafts while the workers are killed, again and again, most often in the moment after the provider
//! accepted one and before our ledger says so. The sandbox is the witness: it counts what it accepted for each recipient.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use postrider_tests::platform::Office;
use postrider_tests::{DatabaseKind, Platform, Report};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;

/// How long the whole run may take.
const LIMIT: Duration = Duration::from_secs(25 * 60);
/// How long the last messages may take.
const SETTLE: Duration = Duration::from_secs(240);
/// Between taking a draft and saying so the provider takes its time: there most kills fall.
const ANSWER_MS: u64 = 150;
/// More units than anybody can spend.
const UNITS: u32 = 10_000_000;

/// What kills hit.
#[derive(Debug, Default)]
struct Hits {
    kills: usize,
    /// Kills that left at least one message behind that the provider had accepted and our ledger not.
    after_accept: usize,
    /// The recipients of those messages.
    caught: HashSet<String>,
}

pub async fn run(seed: u64, short: bool) -> Report {
    let mut dice = StdRng::seed_from_u64(seed);
    let (messages, wanted, workers) = if short { (120, 3, 2) } else { (2_000, 20, 2) };
    let started = Instant::now();
    let platform = Platform::with(DatabaseKind::Sqlite)
        .workers(workers)
        .setting("WORKER_CONCURRENCY", &6)
        .setting("GMAIL_UNITS_PER_MINUTE", &UNITS)
        .start()
        .await;
    let sandbox = platform.sandbox();
    sandbox.client().set_gmail(&json!({ "units_per_minute": UNITS })).await.expect("the sandbox's units");
    let office = platform.gmail_workshop(json!({ "daily_cap": 100_000, "poll_interval_seconds": 86_400 })).await;
    sandbox.fault(json!({ "target": "gmail", "kind": "latency", "stage": "accepted", "ms": ANSWER_MS })).await;
    let mut planned = Vec::new();
    plan(&platform, &office, &mut planned, messages).await;

    let mut hits = Hits::default();
    while hits.after_accept < wanted && started.elapsed() < LIMIT {
        let before = sandbox.accepted().await.len();
        if before + messages / wanted > planned.len() {
            plan(&platform, &office, &mut planned, 200).await;
        }
        let next = before + dice.random_range(1..messages / wanted / 2);
        sandbox.client().wait_accepted(next, Duration::from_secs(60)).await.expect("the sandbox's ledger");
        tokio::time::sleep(Duration::from_millis(dice.random_range(0..ANSWER_MS))).await;
        strike(&platform, &mut hits, &mut dice).await;
    }
    sandbox.clear_faults().await;
    let settled = settle(&platform, &office, planned.len()).await;
    let mut report = Report::new("send-kill");
    report
        .figure("seed", seed)
        .figure("messages", planned.len())
        .figure("kills", hits.kills)
        .figure("kills_between_accept_and_commit", hits.after_accept)
        .figure("messages_caught_between_accept_and_commit", hits.caught.len())
        .must("enough kills fell between accept and commit", hits.after_accept >= wanted)
        .must("all jobs came to an end", settled);
    judge(&platform, &office, &planned, &mut report).await;
    report.decimal("took_s", started.elapsed().as_secs_f64());
    platform.abandon("the verdict looked for leftover jobs itself");
    report
}

async fn plan(platform: &Platform, office: &Office, planned: &mut Vec<String>, count: usize) {
    let first = planned.len();
    let new: Vec<String> = (first..first + count).map(|number| format!("customer-{number}@kunden.example")).collect();
    platform.send(office, &new, None).await;
    planned.extend(new);
}

/// Kills all workers or one of them, counts what they left behind, and starts them again.
async fn strike(platform: &Platform, hits: &mut Hits, dice: &mut StdRng) {
    let all = platform.workers();
    let victims = if dice.random_range(0..4) == 0 { &all[..1] } else { all };
    for worker in victims {
        worker.kill();
    }
    hits.kills += 1;
    // What is counted has to stand still: while a worker lives, a message may be between the two for a moment.
    if victims.len() == all.len() {
        let rows = platform.ledger().await;
        let sending = rows.iter().filter(|row| row.state == "sending").map(|row| row.to_address.as_str());
        let sending: HashSet<&str> = sending.collect();
        let accepted = platform.sandbox().accepted().await;
        let caught = accepted.into_iter().flat_map(|mail| mail.rcpt_to).filter(|to| sending.contains(to.as_str()));
        let before = hits.caught.len();
        hits.caught.extend(caught);
        hits.after_accept += usize::from(hits.caught.len() > before);
    }
    for worker in victims {
        worker.start();
    }
    for worker in victims {
        worker.ready().await;
    }
}

/// Waits until everything is accepted and no job is left. False if that does not happen in time.
async fn settle(platform: &Platform, office: &Office, messages: usize) -> bool {
    let started = Instant::now();
    while started.elapsed() < SETTLE {
        let rows = platform.ledger().await;
        let accepted = rows.iter().filter(|row| row.state == "accepted").count();
        let failed = rows.iter().filter(|row| matches!(row.state.as_str(), "failed" | "skipped")).count();
        let drafts = platform.sandbox().client().gmail(&office.address).await.map_or(1, |gmail| gmail.drafts.len());
        let done = accepted + failed == messages && drafts == 0;
        if done && platform.unfinished().await.is_empty() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    false
}

async fn judge(platform: &Platform, office: &Office, planned: &[String], report: &mut Report) {
    let mut copies: HashMap<String, usize> = HashMap::new();
    for recipient in platform.sandbox().accepted().await.into_iter().flat_map(|mail| mail.rcpt_to) {
        *copies.entry(recipient).or_default() += 1;
    }
    let lost = planned.iter().filter(|to| !copies.contains_key(*to)).count();
    let repeated = copies.values().filter(|count| **count > 1).count();
    let rows = platform.ledger().await;
    let in_state = |state: &str| rows.iter().filter(|row| row.state == state).count();
    let unread = rows.iter().filter(|row| row.state == "accepted" && row.sent_message_id.is_none()).count();
    let repeats = rows.iter().filter(|row| row.attempt > 1).count();
    let gmail = platform.sandbox().client().gmail(&office.address).await.expect("the sandbox's figures");
    report
        .figure("accepted_by_the_provider", copies.values().sum::<usize>())
        .figure("lost", lost)
        .figure("repeated", repeated)
        .figure("in_doubt", in_state("unknown"))
        .figure("failed", in_state("failed"))
        .figure("messages_of_several_attempts", repeats)
        .figure("message_ids_not_read_back", unread)
        .figure("drafts_left_behind", gmail.drafts.len())
        .must("no message was lost", lost == 0)
        .must("no message went out twice", repeated == 0)
        .must("the ledger knows of every message that it was accepted", in_state("accepted") == planned.len())
        .must("no draft is left behind", gmail.drafts.is_empty());
}
