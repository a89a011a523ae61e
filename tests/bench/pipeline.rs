//! From a delivered mail to its accepted reply, through all processes. The sandbox answers as the language model at once,
//! so nothing is taken off for it; the mailbox is read as soon as a mail was delivered, so there is no wait for the poll.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use postrider_sandbox::ledger::Accepted;
use postrider_tests::mails::simple_request;
use postrider_tests::platform::Office;
use postrider_tests::{DatabaseKind, Platform, Report};

const DEADLINE: Duration = Duration::from_secs(120);

pub async fn run(mails: usize) -> Report {
    let platform = Platform::with(DatabaseKind::Sqlite).start().await;
    // The scheduler's own polls are far apart: the bench asks for each itself.
    let office = platform.workshop(600).await;
    office.poll().await;

    let mut alone = Vec::new();
    for number in 0..mails {
        let took = round(&platform, &office, number..number + 1).await;
        alone.extend(took);
    }
    let together = round(&platform, &office, mails..2 * mails).await;
    platform.finish().await;

    let mut report = Report::new("pipeline");
    report.figure("mails_one_by_one", alone.len());
    let p95_alone = quantiles(&mut report, "one_by_one", alone);
    report.figure("mails_at_once", together.len());
    let p95_together = quantiles(&mut report, "at_once", together);
    report
        .must("p95 of mails one by one is at most 3 s", p95_alone <= 3.0)
        .must("p95 of all mails at once is at most 3 s", p95_together <= 3.0);
    report
}

/// Delivers the mails, has the mailbox read, and returns how long each took to be answered, in seconds.
async fn round(platform: &Platform, office: &Office, numbers: std::ops::Range<usize>) -> Vec<f64> {
    let before = platform.sandbox().accepted().await.len();
    let mut delivered: HashMap<String, DateTime<Utc>> = HashMap::new();
    for number in numbers.clone() {
        let mail = simple_request(number, &office.address);
        platform.sandbox().deliver(&office.address, mail.raw).await;
        delivered.insert(mail.message_id, postrider_shared::clock::Clock::system().now());
    }
    office.poll().await;
    let started = Instant::now();
    let mut accepted: Vec<Accepted> = Vec::new();
    while accepted.len() < numbers.len() && started.elapsed() < DEADLINE {
        let all = platform.sandbox().client().wait_accepted(before + numbers.len(), Duration::from_secs(10)).await;
        accepted = all.expect("the sandbox's ledger").split_off(before);
    }
    accepted
        .iter()
        .filter_map(|reply| {
            let asked = reply.in_reply_to.as_deref()?.trim_matches(['<', '>']);
            let delivered = delivered.get(asked)?;
            Some((reply.accepted_at - *delivered).as_seconds_f64())
        })
        .collect()
}

/// Adds p50, p95 and the longest, and returns p95.
fn quantiles(report: &mut Report, name: &str, mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    let at = |percent: usize| {
        let rank = (seconds.len() * percent).div_ceil(100).max(1);
        seconds.get(rank - 1).copied().unwrap_or(f64::INFINITY)
    };
    report.decimal(&format!("{name}_p50_s"), at(50));
    report.decimal(&format!("{name}_p95_s"), at(95));
    report.decimal(&format!("{name}_max_s"), at(100));
    at(95)
}
