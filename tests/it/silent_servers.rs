//! Servers that hang or break off at any point of a conversation. The time limits are lowered by configuration; what must hold is
//! the same with long ones: no process dies, nothing is lost, and a message ends accepted once or `unknown`, with a reason.

use postrider_tests::platform::{LedgerRow, Office};
use postrider_tests::{DatabaseKind, Platform, Process, eventually};
use serde_json::json;

const NEVER: u32 = 86_400;

/// Long enough for servers that do answer, on a busy machine.
const PATIENCE_S: u32 = 3;

async fn impatient() -> Platform {
    Platform::with(DatabaseKind::Sqlite)
        .setting("MAIL_TIMEOUT_SECONDS", &PATIENCE_S)
        .setting("SMTP_ANSWER_TIMEOUT_SECONDS", &PATIENCE_S)
        .setting("LLM_TIMEOUT_SECONDS", &PATIENCE_S)
        .start()
        .await
}

/// Lets failed jobs of a kind have their next attempt now.
async fn hurry(office: &Office, kind: &str) {
    for job in office.api.all(&format!("/v1/jobs?kind={kind}&state=retryable")).await {
        let _ = office.api.post(&format!("/v1/jobs/{}/retry", job["id"].as_str().unwrap()), &json!({})).await;
    }
}

/// The reply to that mail, once what became of it is known.
async fn settled(platform: &Platform, office: &Office, name: &str) -> LedgerRow {
    let id = format!("{name}@kunden.example");
    eventually(&format!("the reply to {id} to be accepted or in doubt"), || async {
        for kind in ["extract_request", "send_email"] {
            hurry(office, kind).await;
        }
        let rows = platform.ledger().await.into_iter();
        let mut rows = rows.filter(|row| row.in_reply_to.as_deref() == Some(id.as_str()));
        rows.find(|row| matches!(row.state.as_str(), "accepted" | "unknown" | "failed"))
    })
    .await
}

/// How often the worker has logged this.
fn logged(platform: &Platform, words: &str) -> usize {
    platform.worker(0).log().matches(words).count()
}

async fn smtp_servers_that(kind: &str) {
    let platform = impatient().await;
    let office = platform.workshop(NEVER).await;
    for stage in ["connect", "auth", "mail", "rcpt", "data", "end", "accepted"] {
        platform.sandbox().fault(json!({ "target": "smtp", "kind": kind, "stage": stage, "times": 1 })).await;
        platform.deliver_request(&office, stage).await;
        let errors = logged(&platform, "SMTP server");
        office.poll().await;
        let row = settled(&platform, &office, stage).await;
        let accepted = platform.sandbox().accepted().await;
        let accepted = accepted.iter().filter(|mail| mail.message_id.as_deref() == Some(row.rfc_message_id.as_str()));
        let outcome = (row.state.as_str(), row.attempt, accepted.count());
        // Up to DATA nothing can have been accepted: the next attempt sends. After the last byte it is in doubt.
        let expected = match stage {
            "end" => ("unknown", 1, 0),
            "accepted" => ("unknown", 1, 1),
            _ => ("accepted", 2, 1),
        };
        assert_eq!(outcome, expected, "{kind} at {stage}: {row:?}");
        if row.state == "unknown" {
            assert!(row.reason.as_deref().is_some_and(|reason| !reason.is_empty()), "{kind} at {stage}: {row:?}");
        } else {
            assert!(logged(&platform, "SMTP server") > errors, "{kind} at {stage} left no reason");
        }
    }
    platform.no_jobs_left().await;
    assert!(platform.processes().all(Process::is_running));
    assert_eq!(platform.ledger().await.len(), 7);
    platform.finish().await;
}

#[tokio::test]
async fn smtp_servers_that_hang_get_each_message_once_or_in_doubt() {
    smtp_servers_that("hang").await;
}

#[tokio::test]
async fn smtp_servers_that_close_get_each_message_once_or_in_doubt() {
    smtp_servers_that("close").await;
}

#[tokio::test]
async fn smtp_servers_that_reset_get_each_message_once_or_in_doubt() {
    smtp_servers_that("reset").await;
}

#[tokio::test]
async fn imap_servers_that_hang_cost_an_attempt_at_most_and_no_mail() {
    let platform = impatient().await;
    // The first poll of all is the one that searches.
    platform.sandbox().fault(json!({ "target": "imap", "kind": "hang", "stage": "search", "times": 1 })).await;
    let office = platform.workshop(NEVER).await;
    let stages = [
        ("search", "listing new mail"),
        ("connect", "connecting"),
        ("auth", "the login"),
        ("select", "opening the folder"),
        ("fetch", "listing new mail"),
    ];
    for (number, (stage, words)) in stages.into_iter().enumerate() {
        if number > 0 {
            platform.sandbox().fault(json!({ "target": "imap", "kind": "hang", "stage": stage, "times": 1 })).await;
        }
        platform.deliver_request(&office, stage).await;
        read(&office, number + 1).await;
        let times = stages[..=number].iter().filter(|(_, other)| *other == words).count();
        // A listing is tried again in the same run.
        let words = match words {
            "listing new mail" => "new mail is listed in parts".to_owned(),
            words => format!("the IMAP server did not answer {words} within {PATIENCE_S} s"),
        };
        assert_eq!(logged(&platform, &words), times, "hang at {stage}");
        let account = office.api.get(&format!("/v1/accounts/{}", office.account_id)).await.ok();
        assert_eq!(account["state"], "active", "after a hang at {stage}: {account}");
    }
    platform.sandbox().accepted_at_least(stages.len()).await;
    platform.no_jobs_left().await;
    assert_eq!(platform.sandbox().accepted().await.len(), stages.len());
    assert!(platform.processes().all(Process::is_running));
    platform.finish().await;
}

/// Polls until there are `count` mails.
async fn read(office: &Office, count: usize) {
    eventually(&format!("{count} mails"), || async {
        hurry(office, "poll_mailbox").await;
        let body = json!({ "kind": "poll_mailbox", "payload": { "account_id": office.account_id } });
        let answer = office.api.post("/v1/jobs", &body).await;
        let id = answer.body["job_id"].as_str().or(answer.body["id"].as_str()).unwrap().to_owned();
        let _ = office.api.get(&format!("/v1/jobs/{id}?wait=1s")).await;
        (office.mails().await.len() == count).then_some(())
    })
    .await;
}

/// 8 GiB are announced, 128 MiB come, then nothing.
#[tokio::test]
async fn a_message_without_end_costs_an_attempt_and_no_mail() {
    let platform = impatient().await;
    let office = platform.workshop(NEVER).await;
    office.poll().await;
    // The first FETCH lists.
    let fault = json!({ "target": "imap", "kind": "huge_literal", "stage": "fetch", "times": 1, "skip": 1 });
    let fault = platform.sandbox().fault(fault).await;
    for name in ["endless", "next"] {
        platform.deliver_request(&office, name).await;
    }
    read(&office, 2).await;
    platform.sandbox().accepted_at_least(2).await;
    platform.no_jobs_left().await;
    assert_eq!(platform.sandbox().times_struck(fault.id).await, 1);
    assert!(logged(&platform, "IMAP server") > 0, "no reason was left");
    assert_eq!(platform.sandbox().accepted().await.len(), 2);
    assert!(platform.processes().all(Process::is_running));
    platform.finish().await;
}

#[tokio::test]
async fn a_model_that_hangs_or_breaks_off_is_asked_again() {
    let platform = impatient().await;
    let office = platform.workshop(NEVER).await;
    for (kind, words) in
        [("hang", "the language model did not answer in time"), ("close", "the language model cannot be reached")]
    {
        platform.sandbox().fault(json!({ "target": "llm", "kind": kind, "times": 1 })).await;
        platform.deliver_request(&office, kind).await;
        office.poll().await;
        assert_eq!(settled(&platform, &office, kind).await.state, "accepted", "{kind}");
        assert_eq!(logged(&platform, words), 1, "{kind}");
    }
    platform.no_jobs_left().await;
    assert_eq!(platform.sandbox().accepted().await.len(), 2);
    platform.finish().await;
}
