//! Disks without room: whoever asks is told to come back, nothing that was confirmed is lost, nothing goes out twice, and work goes on
//! by itself once there is room.

use std::path::PathBuf;

use postrider_tests::client::Answer;
use postrider_tests::platform::Office;
use postrider_tests::{DatabaseKind, Platform, Process, eventually};
use serde_json::{Value, json};

async fn started() -> Platform {
    Platform::with(DatabaseKind::Sqlite).apis(2).full_disk().start().await
}

/// The files of SQLite.
fn database(platform: &Platform) -> PathBuf {
    platform.folder().join("postrider.db")
}

fn objects(platform: &Platform) -> PathBuf {
    platform.folder().join("objects")
}

/// How many files lie there, those included that are not whole.
fn files(folder: &PathBuf) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let count = |path: PathBuf| if path.is_dir() { files(&path) } else { 1 };
    entries.map(|entry| count(entry.unwrap().path())).sum()
}

fn comes_back_later(answer: Answer, slug: &str) {
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    answer.problem(503, slug);
}

#[tokio::test]
async fn what_is_confirmed_after_the_databases_disk_was_full_is_there_for_all() {
    let platform = started().await;
    let api = platform.api();
    let other = api.at(platform.api_addresses()[1].clone());
    platform.disk().fill(&database(&platform));
    let requests =
        (0..20).map(|number| async move { api.post("/v1/tenants", &json!({ "name": format!("{number}") })).await });
    for answer in futures::future::join_all(requests).await {
        comes_back_later(answer, "database-unavailable");
    }
    platform.api_process(0).logged("disk is full").await;
    platform.disk().make_room();
    let mut confirmed = Vec::new();
    for number in 0..20 {
        confirmed
            .push(api.post("/v1/tenants", &json!({ "name": format!("After {number}") })).await.expect_status(201).body);
    }
    for tenant in &confirmed {
        other.get(&format!("/v1/tenants/{}", tenant["id"].as_str().unwrap())).await.expect_status(200);
    }
    other.post("/v1/tenants", &json!({ "name": "Beside" })).await.expect_status(201);
    assert!(platform.processes().all(Process::is_running));
    platform.finish().await;
}

/// A platform and an office whose only reply was accepted by the mail server, which has not yet said so; the database's disk is full.
async fn accepted_on_a_full_disk() -> (Platform, Office) {
    let platform = started().await;
    let office = platform.workshop(86_400).await;
    let late = json!({ "target": "smtp", "kind": "latency", "stage": "accepted", "ms": 1500, "times": 1 });
    platform.sandbox().fault(late).await;
    platform.deliver_request(&office, "full").await;
    office.poll().await;
    platform.sandbox().accepted_at_least(1).await;
    platform.disk().fill(&database(&platform));
    (platform, office)
}

async fn tried_again(office: &Office) -> Vec<Value> {
    office.api.all("/v1/jobs?kind=send_email&state=retryable").await
}

/// With room again the message ends so, and has gone out once.
async fn ends(platform: Platform, office: Office, state: &str) {
    platform.disk().make_room();
    let message = eventually("what became of the message", || async {
        for job in tried_again(&office).await {
            office.api.post(&format!("/v1/jobs/{}/retry", job["id"].as_str().unwrap()), &json!({})).await;
        }
        office.api.all("/v1/messages").await.pop().filter(|message| message["state"] != "sending")
    })
    .await;
    assert_eq!(message["state"], state, "{message}");
    platform.no_jobs_left().await;
    assert_eq!(platform.sandbox().accepted().await.len(), 1, "{message}");
    platform.finish().await;
}

#[tokio::test]
async fn a_message_is_noted_when_the_ledger_has_room_again() {
    let (platform, office) = accepted_on_a_full_disk().await;
    platform.worker(0).logged("the ledger does not answer yet").await;
    ends(platform, office, "accepted").await;
}

#[tokio::test]
async fn a_message_that_could_not_be_noted_for_long_is_in_doubt_and_not_sent_again() {
    let (platform, office) = accepted_on_a_full_disk().await;
    eventually("the worker to give it up for now", || async { tried_again(&office).await.pop() }).await;
    ends(platform, office, "unknown").await;
}

#[tokio::test]
async fn payloads_and_mails_are_kept_whole_or_not_at_all() {
    let platform = started().await;
    let office = platform.workshop(86_400).await;
    let large = json!({ "kind": "diagnostic.echo", "payload": { "data": "x".repeat(1_000_000) } });
    let before = files(&objects(&platform));
    platform.disk().fill(&objects(&platform));
    for _ in 0..4 {
        comes_back_later(office.api.post("/v1/jobs", &large).await, "storage-unavailable");
    }
    platform.deliver_request(&office, "full").await;
    let poll = json!({ "kind": "poll_mailbox", "payload": { "account_id": office.account_id } });
    office.api.post("/v1/jobs", &poll).await;
    platform.worker(0).logged("No space left").await;
    assert_eq!(files(&objects(&platform)), before, "what was begun is removed");
    platform.disk().make_room();
    let job = office.api.submit_body(&large).await;
    assert_eq!(office.api.finished(&job.id).await.state, "completed");
    eventually("the mail to be read", || async {
        let answer = office.api.post("/v1/jobs", &poll).await;
        let id = answer.body["id"].as_str().or(answer.body["job_id"].as_str()).unwrap().to_owned();
        let _ = office.api.get(&format!("/v1/jobs/{id}?wait=1s")).await;
        (office.mails().await.len() == 1).then_some(())
    })
    .await;
    platform.sandbox().accepted_at_least(1).await;
    platform.no_jobs_left().await;
    assert_eq!(platform.sandbox().accepted().await.len(), 1);
    platform.finish().await;
}
