//! Doubt about a draft that was to be sent: it ends when somebody saw what became of the draft, not before.

use postrider_tests::platform::Office;
use postrider_tests::wait::within;
use postrider_tests::{Platform, eventually};
use serde_json::json;

use super::gmail_api::{HELD_MS, NEVER, RECOVERY, fault, hurry, in_state, tend, workshop};

/// Gmail does not say what became of a message.
async fn blind(platform: &Platform) {
    let reply = json!({ "reply": "503 backendError Backend Error" });
    fault(platform, "lookup", "server_error", reply).await;
}

/// The job of the first message, after a run of it that could not look.
async fn after_a_run_that_could_not_look(platform: &Platform, office: &Office) {
    within(RECOVERY, "an attempt that could not look", || async {
        let row = platform.ledger().await.into_iter().next()?;
        let waiting = office.api.all("/v1/jobs?kind=send_email&state=retryable").await;
        let available = office.api.all("/v1/jobs?kind=send_email&state=available").await;
        let ended =
            waiting.iter().chain(&available).any(|job| job["error"].as_str().is_some_and(|e| e.contains("503")));
        (row.attempt == 2 && ended).then_some(())
    })
    .await;
}

/// Lets jobs of the same worker overtake what stands still.
async fn rest(office: &Office) {
    for _ in 0..3 {
        let probe = office.api.submit("diagnostic.sleep", &json!({ "ms": 250 })).await;
        office.api.finished(&probe.id).await;
    }
}

#[tokio::test]
async fn doubt_ends_when_gmail_shows_what_became_of_the_draft() {
    let platform = Platform::start().await;
    let office = workshop(&platform).await;
    fault(&platform, "accepted", "reset_after_accept", json!({ "times": 1 })).await;
    fault(&platform, "lookup", "missing_fields", json!({})).await;
    fault(&platform, "search", "missing_fields", json!({})).await;
    platform.deliver_request(&office, "anna").await;
    office.poll().await;
    hurry(&office, || async { platform.ledger().await.iter().any(|row| row.state == "unknown") }).await;
    assert_eq!(tend(&office).await["settled"], 0, "Gmail does not show it yet");
    assert_eq!(in_state(&platform, "unknown").await.attempt, 2);

    platform.sandbox().clear_faults().await;
    tend(&office).await;
    let row = in_state(&platform, "accepted").await;
    assert!(row.sent_message_id.is_some(), "{row:?}");
    assert_eq!(platform.sandbox().accepted().await.len(), 1);
    platform.finish().await;
}

#[tokio::test]
async fn what_gmail_may_have_sent_is_not_sent_by_smtp_after_a_look_that_failed() {
    let platform = Platform::start().await;
    let office = workshop(&platform).await;
    fault(&platform, "accepted", "reset_after_accept", json!({ "times": 1 })).await;
    blind(&platform).await;
    platform.deliver_request(&office, "anna").await;
    office.poll().await;
    hurry(&office, || async { platform.ledger().await.iter().any(|row| row.attempt >= 2) }).await;
    after_a_run_that_could_not_look(&platform, &office).await;
    let change = json!({ "transport": "smtp" });
    office.api.patch(&format!("/v1/accounts/{}", office.account_id), &change).await.ok();
    hurry(&office, || async { platform.ledger().await.iter().all(|row| row.state != "sending") }).await;
    assert_eq!(platform.sandbox().accepted().await.len(), 1, "the customer has it twice");
    assert_eq!(in_state(&platform, "unknown").await.attempt, 2);
    platform.no_jobs_left().await;
    assert_eq!(platform.sandbox().accepted().await.len(), 1);
    platform.finish().await;
}

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
