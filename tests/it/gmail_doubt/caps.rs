//! What doubt costs: what may have been used stays charged, and no more than that.

use postrider_tests::{DatabaseKind, Platform, eventually};
use serde_json::json;

use super::super::gmail_api::{HELD_MS, NEVER, fault, hurry, tend, workshop};
use super::{after_a_run_that_could_not_look, blind, each_fault_struck_once, rest, the_first_worker_wakes};

#[tokio::test]
async fn a_unit_that_a_killed_worker_may_have_used_stays_charged_after_a_look_that_failed() {
    let platform = Platform::start().await;
    let office = platform.gmail_workshop(json!({ "poll_interval_seconds": NEVER, "daily_cap": 1 })).await;
    office.poll().await;
    fault(&platform, "accepted", "latency", json!({ "times": 1, "ms": HELD_MS })).await;
    platform.deliver_request(&office, "one").await;
    office.poll().await;
    platform.sandbox().accepted_at_least(1).await;
    platform.deliver_request(&office, "two").await;
    office.poll().await;
    eventually("both replies", || async { (platform.ledger().await.len() == 2).then_some(()) }).await;
    blind(&platform).await;
    platform.worker(0).kill_and_restart().await;
    after_a_run_that_could_not_look(&platform, &office).await;
    rest(&office).await;
    assert_eq!(platform.sandbox().accepted().await.len(), 1, "the cap is 1: {:#?}", platform.ledger().await);
    platform.abandon("the second has its unit tomorrow");
}

/// The worker stands still while it sends the draft; another, which is put off by Gmail, does not give away what that may still use.
#[tokio::test]
async fn a_unit_stays_charged_while_a_draft_is_in_the_hand_of_a_worker_that_stands_still() {
    let platform = Platform::with(DatabaseKind::Sqlite).workers(2).start().await;
    platform.worker(1).kill();
    let office = platform.gmail_workshop(json!({ "poll_interval_seconds": NEVER, "daily_cap": 1 })).await;
    office.poll().await;
    fault(&platform, "send", "latency", json!({ "times": 1, "ms": HELD_MS })).await;
    platform.send(&office, &["one@kunden.example".to_owned()], None).await;
    each_fault_struck_once(&platform, "the draft to be in hand").await;
    platform.send(&office, &["two@kunden.example".to_owned()], None).await;
    platform.worker(0).pause();
    fault(&platform, "send", "rate_limit", json!({ "times": 1, "retry_after": 50, "match": "one@" })).await;
    platform.worker(1).start();
    platform.worker(1).ready().await;
    each_fault_struck_once(&platform, "Gmail to put the other worker off").await;
    platform.sandbox().accepted_at_least(1).await;
    rest(&office).await;
    the_first_worker_wakes(&platform).await;
    let accepted: Vec<_> = platform.sandbox().accepted().await.into_iter().flat_map(|mail| mail.rcpt_to).collect();
    assert_eq!(accepted, ["one@kunden.example"], "the cap is 1");
    platform.abandon("the second has its unit tomorrow");
}

/// A look that fails again and again costs no more than what may have been used.
#[tokio::test]
async fn looks_that_fail_charge_only_what_a_killed_worker_may_have_used() {
    let platform = Platform::start().await;
    let office = workshop(&platform).await;
    fault(&platform, "accepted", "latency", json!({ "times": 1, "ms": HELD_MS })).await;
    platform.send(&office, &["one@kunden.example".to_owned()], None).await;
    platform.sandbox().accepted_at_least(1).await;
    blind(&platform).await;
    platform.worker(0).kill_and_restart().await;
    hurry(&office, || async { platform.ledger().await.iter().any(|row| row.attempt >= 5) }).await;
    platform.sandbox().clear_faults().await;
    hurry(&office, || async { platform.ledger().await.iter().all(|row| row.state == "accepted") }).await;
    platform.no_jobs_left().await;
    assert_eq!(platform.units(&office).await, (2, 0), "one for the killed run, one for the run that saw it");
    assert_eq!(platform.sandbox().accepted().await.len(), 1);
    platform.finish().await;
}

/// The first reply may have gone out as far as we know, its draft stands, and the second took its unit.
#[tokio::test]
async fn a_draft_in_doubt_is_sent_within_the_cap_under_faketime() {
    let platform = Platform::with(DatabaseKind::Sqlite).at_time("2027-03-10T09:00:00Z".parse().unwrap()).start().await;
    let settings = json!({ "poll_interval_seconds": NEVER, "daily_cap": 1, "time_zone": "Europe/Berlin" });
    let office = platform.gmail_workshop(settings).await;
    office.poll().await;
    let failing = json!({ "match": "one@", "reply": "503 backendError Backend Error" });
    fault(&platform, "send", "server_error", failing).await;
    platform.deliver_request(&office, "one").await;
    office.poll().await;
    eventually("the first to fail", || async {
        let waiting = office.api.all("/v1/jobs?kind=send_email&state=retryable").await;
        (waiting.len() == 1).then_some(())
    })
    .await;
    platform.deliver_request(&office, "two").await;
    office.poll().await;
    let accepted = platform.sandbox().accepted_at_least(1).await;
    assert_eq!(accepted[0].rcpt_to, ["two@kunden.example"]);
    platform.sandbox().clear_faults().await;
    let time = platform.time().unwrap();
    time.set("2027-03-10T09:20:00Z".parse().unwrap());
    eventually("the first to be in doubt for good", || async {
        platform.ledger().await.iter().all(|row| row.state != "sending").then_some(())
    })
    .await;
    tend(&office).await;
    rest(&office).await;
    assert_eq!(platform.sandbox().accepted().await.len(), 1, "the cap is 1: {:#?}", platform.ledger().await);

    time.set("2027-03-11T09:00:00Z".parse().unwrap());
    let accepted = platform.sandbox().accepted_at_least(2).await;
    assert_eq!(accepted[1].rcpt_to, ["one@kunden.example"]);
    platform.no_jobs_left().await;
    assert!(platform.ledger().await.iter().all(|row| row.state == "accepted"), "{:#?}", platform.ledger().await);
    assert_eq!(platform.sandbox().accepted().await.len(), 2);
    platform.finish().await;
}
