//! Reading mailboxes: each mail once, whatever the server or the sender does.

use postrider_tests::{DatabaseKind, Platform, mails};
use serde_json::json;

const NEVER: u32 = 86_400;

on_both_databases!(the_same_mail_twice_is_one_mail);

async fn the_same_mail_twice_is_one_mail(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let office = platform.workshop(NEVER).await;
    let with_id = mails::mail("27-es-tarjetas-movil.eml").raw;
    let without_id = mails::mail("hostile/no-message-id.eml").raw;
    for raw in [&with_id, &without_id, &with_id, &without_id] {
        platform.sandbox().deliver(&office.address, raw.clone()).await;
    }
    office.poll().await;
    for raw in [&without_id, &with_id] {
        platform.sandbox().deliver(&office.address, raw.clone()).await;
    }
    office.poll().await;
    office.poll().await;
    platform.no_jobs_left().await;
    assert_eq!(office.mails().await.len(), 2);
    assert_eq!(office.quotes().await.len(), 2);
    assert_eq!(platform.sandbox().accepted().await.len(), 2);
    platform.finish().await;
}

#[tokio::test]
async fn mail_from_before_the_connection_is_not_read() {
    let platform = Platform::start().await;
    let address = "angebot@lindner-schilder.example";
    platform.sandbox().client().create_mailbox(address, "old").await.unwrap();
    platform.sandbox().deliver(address, mails::mail("22-sv-skyltar.eml").raw).await;
    // The sandbox notes arrivals to the second.
    let delivered = platform.sandbox().client().messages(address).await.unwrap()[0].received_at;
    postrider_tests::eventually("the next second", || async {
        let probe = "probe@lindner-schilder.example";
        platform.sandbox().client().create_mailbox(probe, "x").await.unwrap();
        platform.sandbox().deliver(probe, b"Subject: probe\r\n\r\n".to_vec()).await;
        let seen = platform.sandbox().client().messages(probe).await.unwrap().last().unwrap().received_at;
        (seen.timestamp() > delivered.timestamp()).then_some(())
    })
    .await;
    let office = platform.workshop(NEVER).await;
    office.poll().await;
    assert!(office.mails().await.is_empty());
    platform.sandbox().deliver(address, mails::mail("27-es-tarjetas-movil.eml").raw).await;
    office.poll().await;
    assert_eq!(office.mails().await.len(), 1);
    platform.finish().await;
}

#[tokio::test]
async fn new_uids_bring_no_old_mail_back() {
    let platform = Platform::start().await;
    let office = platform.workshop(NEVER).await;
    for name in ["22-sv-skyltar.eml", "hostile/no-message-id.eml"] {
        platform.sandbox().deliver(&office.address, mails::mail(name).raw).await;
    }
    office.poll().await;
    platform.no_jobs_left().await;
    platform.sandbox().fault(json!({ "target": "imap", "kind": "uid_reset", "times": 1 })).await;
    office.poll().await;
    platform.sandbox().deliver(&office.address, mails::mail("27-es-tarjetas-movil.eml").raw).await;
    office.poll().await;
    platform.no_jobs_left().await;
    assert_eq!(office.mails().await.len(), 3);
    assert_eq!(platform.sandbox().accepted().await.len(), 3);
    platform.finish().await;
}

/// Gmail calls a mail the same for ever: what was recorded is not fetched again when the folder is numbered anew.
#[tokio::test]
async fn gmail_tells_known_mail_by_its_own_ids() {
    let platform = Platform::start().await;
    let account = json!({ "poll_interval_seconds": NEVER });
    let address = "lindner.schilder@gmail.com";
    let office = platform.office(address, &mails::workshop(), &mails::products(), account).await;
    for name in ["22-sv-skyltar.eml", "27-es-tarjetas-movil.eml", "hostile/no-message-id.eml"] {
        platform.sandbox().deliver(address, mails::mail(name).raw).await;
    }
    office.poll().await;
    assert_eq!(office.mails().await.len(), 3);
    platform.sandbox().fault(json!({ "target": "imap", "kind": "uid_reset", "times": 1 })).await;
    // Nothing else in them is known any more.
    let connection = platform.database().connection().await;
    let forget = "UPDATE inbound_mails SET dedupe_key = dedupe_key || '-', size = size + 1";
    sea_orm::ConnectionTrait::execute_unprepared(&connection, forget).await.unwrap();
    connection.close().await.unwrap();
    office.poll().await;
    assert_eq!(office.mails().await.len(), 3);
    platform.finish().await;
}

/// A server that has enough connections is no reason to pause the mailbox: it is waited for, at no attempt's cost.
#[tokio::test]
async fn a_server_that_asks_for_patience_is_waited_for() {
    let platform = Platform::start().await;
    let office = platform.workshop(NEVER).await;
    office.poll().await;
    platform.sandbox().deliver(&office.address, mails::mail("22-sv-skyltar.eml").raw).await;
    platform.sandbox().fault(json!({ "target": "imap", "kind": "rate_limit", "stage": "auth", "times": 2 })).await;
    let job = office.poll().await;
    assert_eq!((job.attempt, job.snoozes), (1, 2), "{job:#?}");
    assert_eq!(office.mails().await.len(), 1);
    let account = office.api.get(&format!("/v1/accounts/{}", office.account_id)).await.ok();
    assert_eq!(account["state"], "active", "{account}");
    platform.finish().await;
}

#[tokio::test]
async fn the_scheduler_reads_every_mailbox_at_its_interval_once() {
    let platform = Platform::with(DatabaseKind::Sqlite).schedulers(2).start().await;
    let office = platform.workshop(1).await;
    platform.sandbox().deliver(&office.address, mails::mail("27-es-tarjetas-movil.eml").raw).await;
    let accepted = platform.sandbox().accepted_at_least(1).await;
    assert_eq!(accepted.len(), 1);
    let account = format!("/v1/accounts/{}", office.account_id);
    office.api.post(&format!("{account}/pause"), &json!({})).await.ok();
    platform.finish().await;
}

#[tokio::test]
async fn a_wrong_password_is_reported_and_stops_nothing_else() {
    let platform = Platform::start().await;
    let office = platform.workshop(NEVER).await;
    platform.sandbox().client().create_mailbox(&office.address, "changed by the provider").await.unwrap();
    let body = json!({ "kind": "poll_mailbox", "payload": { "account_id": office.account_id } });
    let account = postrider_tests::eventually("the account to be paused", || async {
        // Refused if the scheduler was first: that run may have signed in before the change.
        office.api.post("/v1/jobs", &body).await;
        let account = office.api.get(&format!("/v1/accounts/{}", office.account_id)).await.ok();
        (account["state"] == "paused").then_some(account)
    })
    .await;
    // The server's words are for the business; they name its address, which is not for logs.
    assert!(account["pause_reason"].as_str().is_some_and(|reason| reason.contains(&office.address)), "{account}");
    let log = platform.worker(0).log();
    let line = log.lines().find(|line| line.contains("mailbox paused")).expect("a line of the log");
    assert!(line.contains("login_refused") && !line.contains(&office.address), "{line}");
    platform.no_jobs_left().await;
    let echo = office.api.submit("diagnostic.echo", &json!({})).await;
    assert_eq!(office.api.finished(&echo.id).await.state, "completed");
    platform.finish().await;
}

/// A server that lies or breaks off costs a further look, and no mail.
#[tokio::test]
async fn a_lying_or_breaking_imap_server_loses_no_mail() {
    let platform = Platform::start().await;
    let office = platform.workshop(NEVER).await;
    let faults = [
        ("close", "connect"),
        ("close", "auth"),
        ("close", "select"),
        ("reset", "fetch"),
        ("close", "fetch"),
        ("garbage_literal", "fetch"),
        ("missing_fields", "fetch"),
        ("missing_fields", "select"),
        ("wrong_uidvalidity", "select"),
    ];
    for (number, (kind, stage)) in faults.into_iter().enumerate() {
        platform.sandbox().fault(json!({ "target": "imap", "kind": kind, "stage": stage, "times": 1 })).await;
        let raw = format!(
            "From: Nr {number} <nr{number}@kunden.example>\r\nTo: {}\r\nSubject: Anfrage {number}\r\n\
             Message-ID: <anfrage-{number}@kunden.example>\r\n\r\nBitte ein Angebot: 2 Roll-ups.\r\n",
            office.address
        );
        platform.sandbox().deliver(&office.address, raw.into_bytes()).await;
        let body = json!({ "kind": "poll_mailbox", "payload": { "account_id": office.account_id } });
        postrider_tests::eventually(&format!("the mail after {kind} at {stage}"), || async {
            let answer = office.api.post("/v1/jobs", &body).await;
            let holder = answer.body["job_id"].as_str().or(answer.body["id"].as_str()).unwrap().to_owned();
            // A run that failed waits for its next attempt: let it have it now.
            let _ = office.api.post(&format!("/v1/jobs/{holder}/retry"), &json!({})).await;
            let _ = office.api.get(&format!("/v1/jobs/{holder}?wait=1s")).await;
            (office.mails().await.len() == number + 1).then_some(())
        })
        .await;
        let account = office.api.get(&format!("/v1/accounts/{}", office.account_id)).await.ok();
        assert_eq!(account["state"], "active", "after {kind} at {stage}: {account}");
    }
    let accepted = platform.sandbox().accepted_at_least(faults.len()).await;
    platform.no_jobs_left().await;
    assert_eq!(accepted.len(), faults.len());
    platform.finish().await;
}
