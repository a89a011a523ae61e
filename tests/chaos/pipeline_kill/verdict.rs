//! What became of every request, by the sandbox's ledger and by ours.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use postrider_tests::mails::SimpleRequest;
use postrider_tests::platform::Office;
use postrider_tests::{Platform, Report};

const SETTLE: Duration = Duration::from_secs(180);

/// Waits until every request has a settled message and no job is left. `None` if that does not happen in time.
pub async fn settle(platform: &Platform, requests: usize) -> Option<Instant> {
    let started = Instant::now();
    while started.elapsed() < SETTLE {
        let rows = platform.ledger().await;
        let settled = rows
            .iter()
            .filter(|row| matches!(row.state.as_str(), "accepted" | "failed" | "skipped" | "unknown"))
            .count();
        if rows.len() >= requests && settled == rows.len() && platform.unfinished().await.is_empty() {
            return Some(Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    None
}

pub async fn judge(platform: &Platform, office: &Office, requests: &[SimpleRequest], report: &mut Report) {
    let mut replies: HashMap<String, usize> = HashMap::new();
    for accepted in platform.sandbox().accepted().await {
        for recipient in accepted.rcpt_to {
            *replies.entry(recipient.to_lowercase()).or_default() += 1;
        }
    }
    let rows = platform.ledger().await;
    let state: HashMap<&str, &str> = rows.iter().map(|row| (row.to_address.as_str(), row.state.as_str())).collect();
    let (mut unhandled, mut twice, mut missing, mut missing_unknown, mut answered, mut unknown) = (0, 0, 0, 0, 0, 0);
    for request in requests {
        let count = replies.get(&request.from).copied().unwrap_or_default();
        let state = state.get(request.from.as_str()).copied();
        unhandled += usize::from(state.is_none());
        twice += usize::from(count > 1);
        answered += usize::from(count > 0);
        unknown += usize::from(state == Some("unknown"));
        if count == 0 {
            missing += 1;
            missing_unknown += usize::from(state == Some("unknown"));
        }
    }
    let quotes = office.api.all("/v1/quotes").await.len();
    let letters = office.api.all("/v1/dead-letters").await;
    // A poll that was killed six times is given up as poison; the next one does its work, so nothing is lost with it.
    let lost_work = letters.iter().filter(|letter| letter["kind"] != "poll_mailbox").count();
    let causes: Vec<String> = letters.iter().map(|letter| format!("{}: {}", letter["kind"], letter["error"])).collect();
    report
        .figure("requests", requests.len())
        .figure("quotes", quotes)
        .figure("answered_once", answered - twice)
        .figure("answered_twice", twice)
        .figure("not_answered", missing)
        .figure("not_answered_and_unknown", missing_unknown)
        .figure("unknown_in_all", unknown)
        .figure("dead_letters", letters.len())
        .figure("dead_letter_causes", causes)
        .must("every request was handled", unhandled == 0 && quotes == requests.len())
        .must("nobody got two replies", twice == 0)
        .must("each missing reply is `unknown`", missing == missing_unknown)
        .must("no job of a request died", lost_work == 0);
}
