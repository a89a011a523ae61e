//! Replies through the Gmail API: in their thread, once whatever happens, and nothing left behind in the mailbox.

use postrider_tests::platform::{LedgerRow, Office};
use postrider_tests::wait::within;
use postrider_tests::{DatabaseKind, Platform, eventually};
use serde_json::{Value, json};

pub(super) const NEVER: u32 = 86_400;
/// A killed worker's session ends after 6 s; then its jobs run again.
pub(super) const RECOVERY: std::time::Duration = std::time::Duration::from_secs(60);
/// Longer than it takes a busy machine to bring each message to its step and to kill the worker; the product waits longer.
pub(super) const HELD_MS: u64 = 20_000;

pub(super) async fn workshop(platform: &Platform) -> Office {
    let office = platform.gmail_workshop(json!({ "poll_interval_seconds": NEVER })).await;
    office.poll().await;
    office
}

pub(super) async fn fault(platform: &Platform, stage: &str, kind: &str, more: Value) {
    let mut fault = json!({ "target": "gmail", "stage": stage, "kind": kind });
    for (name, value) in more.as_object().into_iter().flatten() {
        fault[name] = value.clone();
    }
    platform.sandbox().fault(fault).await;
}

pub(super) async fn in_state(platform: &Platform, state: &str) -> LedgerRow {
    eventually(&format!("a message in state {state}"), || async {
        platform.ledger().await.into_iter().find(|row| row.state == state)
    })
    .await
}

async fn account(office: &Office) -> Value {
    office.api.get(&format!("/v1/accounts/{}", office.account_id)).await.ok()
}

pub(super) async fn drafts(platform: &Platform, office: &Office) -> Vec<postrider_sandbox::gmail::Draft> {
    platform.sandbox().client().gmail(&office.address).await.unwrap().drafts
}

on_both_databases!(a_reply_lands_in_its_thread_in_both_mailboxes_and_its_answer_finds_back);

async fn a_reply_lands_in_its_thread_in_both_mailboxes_and_its_answer_finds_back(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let office = workshop(&platform).await;
    let customer = "anna@kunden.example";
    platform.sandbox().client().create_mailbox(customer, "x").await.unwrap();
    platform.deliver_request(&office, "anna").await;
    office.poll().await;
    let accepted = platform.sandbox().accepted_at_least(1).await.remove(0);
    assert_eq!(accepted.in_reply_to.as_deref(), Some("anna@kunden.example"));
    assert_eq!(accepted.references, ["anna@kunden.example"]);
    assert_eq!(accepted.subject.as_deref(), Some("Re: Anfrage anna"));
    let row = eventually("the final Message-ID to be read back", || async {
        platform.ledger().await.into_iter().find(|row| row.sent_message_id.is_some())
    })
    .await;
    let sent_as = row.sent_message_id.unwrap();
    assert_eq!((row.state.as_str(), Some(&sent_as)), ("accepted", accepted.message_id.as_ref()));
    assert_ne!(sent_as, row.rfc_message_id, "the sandbox puts its own in place, as Google does");
    assert!(drafts(&platform, &office).await.is_empty());

    // The customer's program knows the final id only.
    let answer = format!(
        "From: {customer}\r\nTo: {}\r\nSubject: Re: Anfrage anna\r\nMessage-ID: <danke@kunden.example>\r\n\
         In-Reply-To: <{sent_as}>\r\n\r\nVielen Dank, wie lange ist die Lieferzeit?\r\n",
        office.address
    );
    platform.sandbox().deliver(&office.address, answer.into_bytes()).await;
    office.poll().await;
    platform.no_jobs_left().await;
    let inbound = office.mails().await;
    assert_eq!(inbound.len(), 2);
    assert_eq!(inbound[0]["thread_id"], inbound[1]["thread_id"], "{inbound:#?}");
    let raw = platform.sandbox().raw(&accepted).await;
    assert!(String::from_utf8_lossy(&raw).contains("X-Postrider-Message: "));
    platform.finish().await;
}

#[tokio::test]
async fn a_worker_killed_at_every_step_sends_each_reply_once_and_none_is_in_doubt() {
    let platform = Platform::start().await;
    let office = workshop(&platform).await;
    let steps = ["draft", "created", "send", "accepted"];
    for stage in steps {
        let sender = format!("{stage}@kunden.example");
        fault(&platform, stage, "latency", json!({ "match": sender, "times": 1, "ms": HELD_MS })).await;
    }
    for stage in steps {
        platform.deliver_request(&office, stage).await;
    }
    office.poll().await;
    eventually("a message to be held at each step", || async {
        platform.sandbox().struck().await.iter().all(|times| *times == 1).then_some(())
    })
    .await;
    platform.worker(0).kill_and_restart().await;
    within(RECOVERY, "every message to be accepted", || async {
        platform.ledger().await.iter().all(|row| row.state == "accepted").then_some(())
    })
    .await;
    platform.no_jobs_left().await;
    // The Message-ID is read back after a message is settled.
    let rows = platform.ledger().await;
    assert_eq!(rows.len(), steps.len());
    assert!(rows.iter().all(|row| row.attempt == 2 && row.sent_message_id.is_some()), "{rows:#?}");
    let accepted = platform.sandbox().accepted().await;
    for row in &rows {
        let copies = accepted.iter().filter(|mail| mail.rcpt_to == [row.to_address.clone()]).count();
        assert_eq!(copies, 1, "{row:?}");
    }
    assert!(drafts(&platform, &office).await.is_empty(), "the draft nobody stored was used by the repeat");
    platform.finish().await;
}

#[tokio::test]
async fn lost_answers_and_failing_servers_leave_neither_doubt_nor_a_second_mail() {
    let platform = Platform::start().await;
    let office = workshop(&platform).await;
    for (stage, kind, more) in [
        ("created", "close", json!({ "times": 1, "match": "one@" })),
        ("accepted", "reset_after_accept", json!({ "times": 1, "match": "two@" })),
        ("send", "server_error", json!({ "times": 1, "match": "three@", "reply": "503 backendError Backend Error" })),
        ("send", "not_json", json!({ "times": 1, "match": "four@" })),
        ("send", "login_no", json!({ "times": 1, "match": "five@" })),
    ] {
        fault(&platform, stage, kind, more).await;
    }
    for name in ["one", "two", "three", "four", "five"] {
        platform.deliver_request(&office, name).await;
    }
    office.poll().await;
    hurry_until_accepted(&platform, &office, 5).await;
    platform.no_jobs_left().await;
    assert_eq!(platform.sandbox().accepted().await.len(), 5);
    platform.finish().await;
}

/// 408: Google gave up waiting, and may have sent it. It is looked for before anything is sent again, by the same attempt.
#[tokio::test]
async fn a_message_whose_sending_timed_out_is_looked_for_first() {
    let platform = Platform::start().await;
    let office = workshop(&platform).await;
    for (stage, name) in [("accepted", "sent"), ("send", "unsent")] {
        let more = json!({ "times": 1, "match": format!("{name}@"), "reply": "408 requestTimeout Request Timeout" });
        fault(&platform, stage, "server_error", more).await;
        platform.deliver_request(&office, name).await;
    }
    office.poll().await;
    hurry_until_accepted(&platform, &office, 2).await;
    let rows = platform.ledger().await;
    let sent = rows.iter().find(|row| row.to_address.starts_with("sent@")).expect("its row");
    assert_eq!(sent.attempt, 1, "{sent:?}");
    platform.no_jobs_left().await;
    assert_eq!(platform.sandbox().accepted().await.len(), 2);
    platform.finish().await;
}

/// A page of a proxy's says nothing of the mailbox: it goes on, and the message is tried again.
#[tokio::test]
async fn a_refusal_that_is_not_googles_pauses_no_mailbox() {
    let platform = Platform::start().await;
    let office = workshop(&platform).await;
    for (stage, name) in [("draft", "drafting"), ("send", "sending")] {
        let more = json!({ "times": 2, "match": format!("{name}@"), "reply": "403" });
        fault(&platform, stage, "not_json", more).await;
        platform.deliver_request(&office, name).await;
    }
    office.poll().await;
    hurry_until_accepted(&platform, &office, 2).await;
    assert_eq!(account(&office).await["state"], "active");
    platform.no_jobs_left().await;
    assert_eq!(platform.sandbox().accepted().await.len(), 2);
    platform.finish().await;
}

/// Runs waiting sends now until so many messages, and all there are, are accepted.
async fn hurry_until_accepted(platform: &Platform, office: &Office, messages: usize) {
    hurry(office, || async {
        let rows = platform.ledger().await;
        rows.len() == messages && rows.iter().all(|row| row.state == "accepted")
    })
    .await;
}

/// Runs waiting sends now, again and again, until `done`.
pub(super) async fn hurry<F: Future<Output = bool>>(office: &Office, done: impl Fn() -> F) {
    eventually("all to get through", || async {
        if done().await {
            return Some(());
        }
        for job in office.api.all("/v1/jobs?kind=send_email&state=retryable").await {
            // It may have started meanwhile: then there is nothing to hurry.
            let _ = office.api.post(&format!("/v1/jobs/{}/retry", job["id"].as_str().unwrap()), &json!({})).await;
        }
        None
    })
    .await;
}

#[tokio::test]
async fn a_refused_message_fails_and_a_refused_mailbox_waits_for_a_person() {
    let platform = Platform::start().await;
    let office = workshop(&platform).await;
    let invalid = json!({ "times": 1, "reply": "400 invalidArgument Invalid To header" });
    fault(&platform, "draft", "server_error", invalid).await;
    platform.deliver_request(&office, "invalid").await;
    office.poll().await;
    let row = in_state(&platform, "failed").await;
    assert!(row.reason.as_deref().is_some_and(|reason| reason.contains("Invalid To header")), "{row:?}");

    fault(&platform, "send", "server_error", json!({ "reply": "403 domainPolicy Disabled by your administrator" }))
        .await;
    platform.deliver_request(&office, "policy").await;
    office.poll().await;
    eventually("the mailbox to be paused", || async { (account(&office).await["state"] == "paused").then_some(()) })
        .await;
    assert!(account(&office).await["pause_reason"].as_str().unwrap().contains("Disabled by your administrator"));
    platform.sandbox().clear_faults().await;
    office.api.post(&format!("/v1/accounts/{}/resume", office.account_id), &json!({})).await.ok();
    for job in office.api.all("/v1/jobs?kind=send_email&state=scheduled").await {
        let _ = office.api.post(&format!("/v1/jobs/{}/retry", job["id"].as_str().unwrap()), &json!({})).await;
    }
    let accepted = platform.sandbox().accepted_at_least(1).await;
    assert_eq!(accepted[0].rcpt_to, ["policy@kunden.example"]);
    platform.no_jobs_left().await;
    assert_eq!(platform.sandbox().accepted().await.len(), 1);
    platform.finish().await;
}

#[tokio::test]
async fn limits_of_google_close_the_mailbox_for_as_long_as_it_says() {
    let platform = Platform::start().await;
    let office = workshop(&platform).await;
    fault(&platform, "send", "daily_limit", json!({})).await;
    platform.deliver_request(&office, "first").await;
    office.poll().await;
    let limited = eventually("the limit to be known", || async {
        let account = account(&office).await;
        account["limited_until"].is_string().then_some(account)
    })
    .await;
    assert_eq!(limited["state"], "active", "mail is read all the same: {limited}");
    platform.deliver_request(&office, "second").await;
    office.poll().await;
    let probe = office.api.submit("diagnostic.sleep", &json!({ "ms": 250 })).await;
    office.api.finished(&probe.id).await;
    assert_eq!(platform.sandbox().struck().await, [1], "the provider was asked again");

    // Resumed by a person; a short wait is waited for by the message alone.
    platform.sandbox().clear_faults().await;
    fault(&platform, "send", "rate_limit", json!({ "times": 1, "retry_after": 2 })).await;
    office.api.post(&format!("/v1/accounts/{}/resume", office.account_id), &json!({})).await.ok();
    platform.sandbox().accepted_at_least(2).await;
    platform.no_jobs_left().await;
    assert_eq!(platform.sandbox().accepted().await.len(), 2);
    assert!(platform.ledger().await.iter().all(|row| row.state == "accepted"));
    platform.finish().await;
}

#[tokio::test]
async fn sending_stays_below_the_units_of_a_minute() {
    let platform = Platform::with(DatabaseKind::Sqlite).setting("GMAIL_UNITS_PER_MINUTE", &1_200).start().await;
    platform.sandbox().client().set_gmail(&json!({ "units_per_minute": 1_200 })).await.unwrap();
    let office = workshop(&platform).await;
    for number in 0..12 {
        platform.deliver_request(&office, &format!("customer-{number}")).await;
    }
    office.poll().await;
    // 9 messages in a minute: after the first, one every 7.5 s.
    platform.sandbox().accepted_at_least(3).await;
    let figures = platform.sandbox().client().gmail(&office.address).await.unwrap();
    assert_eq!(figures.refused, 0, "{figures:?}");
    assert!(figures.most_units < 1_200, "{figures:?}");
    platform.abandon("the rest would take another minute");
}

#[tokio::test]
async fn a_large_message_goes_by_upload() {
    let platform = Platform::start().await;
    let office = workshop(&platform).await;
    let catalogue: Vec<u8> = (0..6_000_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    platform.send(&office, &["large@kunden.example".to_owned()], Some(catalogue.clone())).await;
    let accepted = platform.sandbox().accepted_at_least(1).await.remove(0);
    assert!(accepted.bytes > 8_000_000, "{accepted:?}");
    let raw = platform.sandbox().raw(&accepted).await;
    let parsed = mail_parser::MessageParser::default().parse(&raw[..]).unwrap();
    assert_eq!(parsed.attachment(0).unwrap().contents(), catalogue);
    let row = in_state(&platform, "accepted").await;
    assert_eq!(row.attempt, 1);
    platform.finish().await;
}

pub(super) async fn tend(office: &Office) -> Value {
    loop {
        let body = json!({ "kind": "tend_drafts", "payload": { "account_id": office.account_id } });
        let answer = office.api.post("/v1/jobs", &body).await;
        if answer.status == 409 {
            let running = answer.problem(409, "unique-key-taken");
            office.api.finished(running["job_id"].as_str().unwrap()).await;
            continue;
        }
        let job = office.api.finished(answer.expect_status(202).body["id"].as_str().unwrap()).await;
        assert_eq!(job.state, "completed", "{job:?}");
        return job.output.unwrap_or_default();
    }
}

#[tokio::test]
async fn a_draft_that_nobody_stored_is_swept_and_a_persons_is_not() {
    let platform = Platform::start().await;
    let office = workshop(&platform).await;
    let own = "Subject: Holidays\r\nTo: all@example.org\r\n\r\nI shall be away, and\r\n";
    platform.sandbox().client().write_draft(&office.address, own.as_bytes().to_vec()).await.unwrap();
    // The answer to the first draft is lost, and the index does not know of it when the repeat looks.
    fault(&platform, "created", "close", json!({ "times": 1 })).await;
    fault(&platform, "lookup", "missing_fields", json!({})).await;
    platform.deliver_request(&office, "anna").await;
    office.poll().await;
    hurry(&office, || async { platform.sandbox().accepted().await.len() == 1 }).await;
    in_state(&platform, "accepted").await;
    assert_eq!(drafts(&platform, &office).await.len(), 2);

    platform.sandbox().clear_faults().await;
    tend(&office).await;
    let left = drafts(&platform, &office).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].subject.as_deref(), Some("Holidays"));
    assert_eq!(tend(&office).await["deleted"], 0);
    assert_eq!(platform.sandbox().accepted().await.len(), 1);
    platform.finish().await;
}
