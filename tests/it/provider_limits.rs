//! A provider that takes no more mail, or answers no more questions, for some time: everything waits, nobody hammers it, nothing
//! is lost.

use postrider_tests::platform::Office;
use postrider_tests::{DatabaseKind, Platform, eventually, mails};
use serde_json::{Value, json};

const NEVER: u32 = 86_400;
const MAILS: [&str; 4] =
    ["01-de-banner-vereinsfest", "03-en-wine-bar-signs", "08-it-lettere-gelateria", "22-sv-skyltar"];

async fn account(office: &Office) -> Value {
    office.api.get(&format!("/v1/accounts/{}", office.account_id)).await.ok()
}

/// The first reply meets the limit; then more requests come in.
async fn limited(platform: &Platform, office: &Office) -> Value {
    platform.sandbox().fault(json!({ "target": "smtp", "kind": "daily_limit" })).await;
    for (number, name) in MAILS.into_iter().enumerate() {
        platform.sandbox().deliver(&office.address, mails::mail(&format!("{name}.eml")).raw).await;
        office.poll().await;
        eventually("the quote to be ready and the limit to be known", || async {
            let ready =
                office.api.all("/v1/quotes").await.len() == number + 1 && platform.ledger().await.len() == number + 1;
            (ready && account(office).await["limited_until"].is_string()).then_some(())
        })
        .await;
    }
    rest(platform, office).await;
    account(office).await
}

/// Nothing more is handed over: later jobs of the same worker overtake what waits.
async fn rest(platform: &Platform, office: &Office) {
    for _ in 0..3 {
        let probe = office.api.submit("diagnostic.sleep", &json!({ "ms": 250 })).await;
        office.api.finished(&probe.id).await;
    }
    assert_eq!(platform.sandbox().struck().await, [1], "the provider was asked again");
    assert!(platform.sandbox().accepted().await.is_empty());
}

async fn all_are_sent_once(platform: &Platform) {
    platform.sandbox().accepted_at_least(MAILS.len()).await;
    platform.no_jobs_left().await;
    assert_eq!(platform.sandbox().accepted().await.len(), MAILS.len());
    let ledger = platform.ledger().await;
    assert!(ledger.len() == MAILS.len() && ledger.iter().all(|row| row.state == "accepted"), "{ledger:#?}");
}

#[tokio::test]
async fn a_daily_limit_of_the_provider_parks_the_mailbox_for_a_day_under_faketime() {
    let start: chrono::DateTime<chrono::Utc> = "2027-02-01T09:00:00Z".parse().unwrap();
    let platform = Platform::with(DatabaseKind::Sqlite).at_time(start).start().await;
    let office = platform.workshop(NEVER).await;
    let account = limited(&platform, &office).await;
    assert_eq!(account["state"], "active", "mail is read all the same: {account}");
    let until: chrono::DateTime<chrono::Utc> = account["limited_until"].as_str().unwrap().parse().unwrap();
    let hours = (until - start).num_minutes();
    assert!((24 * 60..24 * 60 + 5).contains(&hours), "{until}");

    let time = platform.time().unwrap();
    time.set(until - chrono::TimeDelta::seconds(60));
    rest(&platform, &office).await;
    platform.sandbox().clear_faults().await;
    time.set(until + chrono::TimeDelta::seconds(1));
    all_are_sent_once(&platform).await;
    platform.finish().await;
}

#[tokio::test]
async fn a_person_who_resumes_the_mailbox_ends_the_wait_for_the_provider() {
    let platform = Platform::start().await;
    let office = platform.workshop(NEVER).await;
    limited(&platform, &office).await;
    platform.sandbox().clear_faults().await;
    let resumed = office.api.post(&format!("/v1/accounts/{}/resume", office.account_id), &json!({})).await.ok();
    assert_eq!(resumed["limited_until"], Value::Null, "{resumed}");
    all_are_sent_once(&platform).await;
    platform.finish().await;
}

#[tokio::test]
async fn a_spent_quota_of_the_model_keeps_all_requests_until_somebody_paid() {
    let platform = Platform::start().await;
    let office = platform.workshop(NEVER).await;
    platform.sandbox().fault(json!({ "target": "llm", "kind": "insufficient_quota" })).await;
    for name in MAILS {
        platform.sandbox().deliver(&office.address, mails::mail(&format!("{name}.eml")).raw).await;
        office.poll().await;
        eventually("the request to wait", || async {
            let running = office.api.all("/v1/jobs?kind=extract_request&state=running").await;
            let available = office.api.all("/v1/jobs?kind=extract_request&state=available").await;
            (running.is_empty() && available.is_empty()).then_some(())
        })
        .await;
    }
    let waiting = office.api.all("/v1/jobs?kind=extract_request&state=scheduled").await;
    assert_eq!(waiting.len(), MAILS.len(), "{waiting:#?}");
    let errors: Vec<&str> = waiting.iter().filter_map(|job| job["error"].as_str()).collect();
    assert!(errors.iter().any(|error| error.contains("quota is used up")), "{errors:?}");
    assert_eq!(platform.sandbox().struck().await, [1], "after the first answer nobody asks");
    assert!(office.quotes().await.is_empty(), "nothing is given to a person for this");
    assert!(office.mails().await.iter().all(|mail| mail["state"] == "received"));

    // Somebody paid, and did not want to wait for the next look.
    platform.sandbox().clear_faults().await;
    platform.worker(0).stop(std::time::Duration::from_secs(30)).await;
    platform.worker(0).start();
    platform.worker(0).ready().await;
    for job in waiting {
        let id = job["id"].as_str().unwrap();
        office.api.post(&format!("/v1/jobs/{id}/retry"), &json!({})).await.expect_status(202);
        let job = office.api.finished(id).await;
        assert_eq!((job.state.as_str(), job.attempt), ("completed", 1), "a wait is no attempt: {job:?}");
    }
    all_are_sent_once(&platform).await;
    platform.finish().await;
}
