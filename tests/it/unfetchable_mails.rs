//! A mail that its server never hands over: it is set aside, with what is known of it, and those behind it are read. One that only
//! breaks the listing of its folder is read like any other. A server that is away, or answers nothing, is waited for.

use postrider_tests::platform::Office;
use postrider_tests::{DatabaseKind, Platform, eventually};
use serde_json::{Value, json};

const NEVER: u32 = 86_400;
const PATIENCE_S: u32 = 2;

async fn impatient(database: DatabaseKind) -> (Platform, Office) {
    let platform = Platform::with(database).setting("MAIL_TIMEOUT_SECONDS", &PATIENCE_S).start().await;
    let office = platform.workshop(NEVER).await;
    (platform, office)
}

/// Something that goes wrong with the mail of this subject, until it is taken away; its id.
async fn poison(platform: &Platform, kind: &str, stage: &str, subject: &str) -> u64 {
    let fault = json!({ "target": "imap", "kind": kind, "stage": stage, "match": subject });
    platform.sandbox().fault(fault).await.id
}

/// The mail that came from this sender of the test's.
async fn from(office: &Office, name: &str) -> Value {
    let address = format!("{name}@kunden.example");
    let mails = office.mails().await;
    mails.iter().find(|mail| mail["from_address"] == address.as_str()).unwrap_or_else(|| panic!("{mails:#?}")).clone()
}

/// Reads the mailbox once, whatever comes of it, and returns the job.
async fn try_to_poll(office: &Office) -> postrider_tests::client::Job {
    let body = json!({ "kind": "poll_mailbox", "payload": { "account_id": office.account_id } });
    let answer = office.api.post("/v1/jobs", &body).await;
    let id = answer.body["job_id"].as_str().or(answer.body["id"].as_str()).unwrap().to_owned();
    office.api.finished(&id).await
}

on_both_databases!(a_mail_that_is_never_handed_over_keeps_none_back);

async fn a_mail_that_is_never_handed_over_keeps_none_back(database: DatabaseKind) {
    let (platform, office) = impatient(database).await;
    platform.deliver_request(&office, "before").await;
    office.poll().await;
    for (number, kind) in ["close", "reset", "hang"].into_iter().enumerate() {
        let fault = poison(&platform, kind, "body", &format!("Anfrage {kind}")).await;
        platform.deliver_request(&office, kind).await;
        platform.deliver_request(&office, &format!("after-{kind}")).await;
        let job = office.poll().await;
        assert_eq!((job.attempt, platform.sandbox().times_struck(fault).await), (3, 3), "{kind}: {job:#?}");
        let aside = from(&office, kind).await;
        assert_eq!(aside["state"], "failed", "{aside:#}");
        assert!(aside["reason"].as_str().is_some_and(|reason| reason.contains("cannot be fetched")), "{aside:#}");
        assert_eq!(aside["subject"], format!("Anfrage {kind}"), "{aside:#}");
        platform.sandbox().accepted_at_least(number + 2).await;
        // It is asked for no more.
        office.poll().await;
        assert_eq!(platform.sandbox().times_struck(fault).await, 3, "{kind}");
    }
    platform.no_jobs_left().await;
    assert_eq!(office.mails().await.len(), 7);
    assert_eq!(platform.sandbox().accepted().await.len(), 4);
    // A person deals with it like with any other that could not be read.
    let aside = from(&office, "close").await;
    let id = aside["id"].as_str().unwrap();
    let resolved = office.api.post(&format!("/v1/mails/{id}/resolve"), &json!({})).await.ok();
    assert_eq!(resolved["state"], "resolved");
    assert!(office.api.all("/v1/dead-letters").await.is_empty());
    platform.finish().await;
}

/// Not even its header can be had: there is a record all the same.
#[tokio::test]
async fn a_mail_of_which_nothing_can_be_had_is_recorded() {
    let (platform, office) = impatient(DatabaseKind::Sqlite).await;
    platform.deliver_request(&office, "before").await;
    office.poll().await;
    for stage in ["body", "header"] {
        poison(&platform, "close", stage, "poison").await;
    }
    platform.deliver_request(&office, "poison").await;
    platform.deliver_request(&office, "after").await;
    office.poll().await;
    platform.sandbox().accepted_at_least(2).await;
    let mails = office.mails().await;
    let aside: Vec<&Value> = mails.iter().filter(|mail| mail["state"] == "failed").collect();
    assert_eq!((mails.len(), aside.len()), (3, 1), "{mails:#?}");
    assert_eq!((&aside[0]["from_address"], &aside[0]["subject"]), (&json!(""), &json!("")), "{:#}", aside[0]);
    assert!(aside[0]["size"].as_i64().is_some_and(|size| size > 0), "{:#}", aside[0]);
    platform.finish().await;
}

/// While no mail can be had it is the server's trouble, however long: nothing is set aside, and all is read when it is over.
#[tokio::test]
async fn a_server_that_hands_over_nothing_is_waited_for() {
    let (platform, office) = impatient(DatabaseKind::Sqlite).await;
    platform.deliver_request(&office, "before").await;
    office.poll().await;
    poison(&platform, "close", "body", "Anfrage").await;
    for name in ["first", "second"] {
        platform.deliver_request(&office, name).await;
    }
    for _ in 0..3 {
        let job = try_to_poll(&office).await;
        assert_ne!(job.state, "completed", "{job:#?}");
    }
    assert_eq!(office.mails().await.len(), 1);
    platform.sandbox().clear_faults().await;
    // Failures at other stages in between count as little.
    for stage in ["connect", "auth", "select", "fetch"] {
        platform.sandbox().fault(json!({ "target": "imap", "kind": "close", "stage": stage })).await;
        try_to_poll(&office).await;
        platform.sandbox().clear_faults().await;
    }
    poison(&platform, "close", "body", "Anfrage first").await;
    let fault = json!({ "target": "imap", "kind": "close", "stage": "connect", "times": 10_000, "skip": 2 });
    let away = platform.sandbox().fault(fault).await.id;
    eventually("a look at the mail and a server that is away afterwards", || async {
        let job = try_to_poll(&office).await;
        assert_ne!(job.state, "completed", "{job:#?}");
        (platform.sandbox().times_struck(away).await >= 6).then_some(())
    })
    .await;
    platform.sandbox().clear_faults().await;
    office.poll().await;
    platform.sandbox().accepted_at_least(3).await;
    assert!(office.mails().await.iter().all(|mail| mail["state"] != "failed"));
    platform.finish().await;
}

/// Asked for its size, the server does something that ends the listing of all: after three runs the mail is read without it.
#[tokio::test]
async fn a_mail_that_breaks_the_listing_keeps_none_back() {
    let (platform, office) = impatient(DatabaseKind::Sqlite).await;
    platform.deliver_request(&office, "before").await;
    office.poll().await;
    for kind in ["close", "reset", "hang", "garbage_literal", "refusal"] {
        let fault = poison(&platform, kind, "entry", &format!("Anfrage {kind}")).await;
        for name in ["ahead-of-", "", "after-"] {
            platform.deliver_request(&office, &format!("{name}{kind}")).await;
        }
        let job = office.poll().await;
        assert_eq!(job.attempt, 3, "{kind}: {job:#?}");
        assert!(platform.sandbox().times_struck(fault).await >= 3, "{kind}");
        for name in ["ahead-of-", "", "after-"] {
            let mail = from(&office, &format!("{name}{kind}")).await;
            assert_ne!(mail["state"], "failed", "{mail:#}");
        }
        // What was read is listed no more, and what comes next stands behind it.
        platform.deliver_request(&office, &format!("next-{kind}")).await;
        assert_eq!(office.poll().await.attempt, 1, "{kind}");
        from(&office, &format!("next-{kind}")).await;
    }
    platform.sandbox().accepted_at_least(21).await;
    assert_eq!(office.mails().await.len(), 21);
    platform.finish().await;
}

/// The newest of a folder is listed whatever is asked for: one that breaks that, and was dealt with, makes no run fail.
#[tokio::test]
async fn a_mail_of_which_nothing_can_be_had_or_listed_is_recorded_once() {
    let (platform, office) = impatient(DatabaseKind::Sqlite).await;
    platform.deliver_request(&office, "before").await;
    office.poll().await;
    for stage in ["entry", "fields", "header", "body"] {
        poison(&platform, "close", stage, "poison").await;
    }
    platform.deliver_request(&office, "poison").await;
    let job = office.poll().await;
    assert_eq!(job.attempt, 3, "{job:#?}");
    for _ in 0..2 {
        assert_eq!(office.poll().await.attempt, 1);
    }
    platform.deliver_request(&office, "after").await;
    // All that was read is looked at again, and that one with it.
    platform.sandbox().fault(json!({ "target": "imap", "kind": "uid_reset", "times": 1 })).await;
    let job = office.poll().await;
    platform.deliver_request(&office, "last").await;
    office.poll().await;
    platform.sandbox().accepted_at_least(3).await;
    let mails = office.mails().await;
    let aside: Vec<&Value> = mails.iter().filter(|mail| mail["state"] == "failed").collect();
    assert!(!aside.is_empty() && mails.len() == 3 + aside.len(), "{job:#?}\n{mails:#?}");
    assert!(
        aside.iter().all(|mail| mail["reason"].as_str().is_some_and(|reason| reason.contains("cannot be fetched")))
    );
    platform.finish().await;
}

/// A long folder is asked about in parts: what lies before the mail that breaks its listing is read first, and few questions are asked.
#[tokio::test]
async fn a_mail_that_breaks_a_long_listing_is_found() {
    let (platform, office) = impatient(DatabaseKind::Sqlite).await;
    platform.deliver_request(&office, "before").await;
    office.poll().await;
    let fault = poison(&platform, "close", "entry", "Anfrage poison").await;
    for number in 0..30 {
        platform.deliver_request(&office, &format!("early-{number}")).await;
    }
    platform.deliver_request(&office, "poison").await;
    platform.deliver_request(&office, "late").await;
    let job = office.poll().await;
    let questions = platform.sandbox().times_struck(fault).await;
    assert!(job.attempt == 3 && questions <= 20, "{questions} questions: {job:#?}");
    let mails = office.mails().await;
    let subjects: Vec<&Value> = mails.iter().map(|mail| &mail["subject"]).collect();
    assert_eq!(subjects.len(), 33);
    assert_eq!(subjects[31..], ["Anfrage poison", "Anfrage late"], "{subjects:?}");
    platform.finish().await;
}

/// While no mail is listed it is the server's trouble: nothing is taken for broken.
#[tokio::test]
async fn a_server_that_lists_nothing_is_waited_for() {
    let (platform, office) = impatient(DatabaseKind::Sqlite).await;
    platform.deliver_request(&office, "before").await;
    office.poll().await;
    for kind in ["close", "refusal"] {
        poison(&platform, kind, "entry", "Anfrage").await;
        for name in ["first", "second"] {
            platform.deliver_request(&office, &format!("{name}-{kind}")).await;
        }
        let read = office.mails().await.len();
        for _ in 0..2 {
            let job = try_to_poll(&office).await;
            assert_ne!(job.state, "completed", "{job:#?}");
        }
        assert_eq!(office.mails().await.len(), read);
        platform.sandbox().clear_faults().await;
        office.poll().await;
        assert_eq!(office.mails().await.len(), read + 2);
    }
    assert!(office.mails().await.iter().all(|mail| mail["state"] != "failed"));
    platform.finish().await;
}
