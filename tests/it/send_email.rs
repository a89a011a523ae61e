//! Replies: sent at most once whatever the server does, with one Message-ID, within the day's cap.

use postrider_tests::platform::{LedgerRow, Office};
use postrider_tests::{DatabaseKind, Platform, eventually, mails};
use sea_orm::ConnectionTrait;
use serde_json::json;

const NEVER: u32 = 86_400;
const BANNERS: &str = "01-de-banner-vereinsfest.eml";
const STICKERS: &str = "10-pl-naklejki-miod.eml";

on_both_databases!(
    a_reply_whose_acceptance_was_lost_is_unknown_and_never_sent_again,
    a_reply_whose_job_died_has_failed_until_it_is_redriven,
    a_reply_whose_job_is_cancelled_is_skipped,
    a_reply_whose_worker_was_killed_before_its_data_is_skipped_with_its_job,
    a_unit_that_a_killed_worker_may_have_used_stays_charged_while_the_ledger_is_away,
    a_ledger_that_is_away_for_long_costs_no_more_than_what_may_have_been_used,
    a_redrive_with_another_mailboxs_message_stays_within_its_cap,
);

async fn a_reply_whose_acceptance_was_lost_is_unknown_and_never_sent_again(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let office = platform.workshop(NEVER).await;
    platform.sandbox().fault(json!({ "target": "smtp", "kind": "reset_after_accept", "times": 1 })).await;
    platform.sandbox().deliver(&office.address, mails::mail(BANNERS).raw).await;
    office.poll().await;

    let row = ledger_in_state(&platform, "unknown").await;
    assert_eq!(row.attempt, 1, "{row:?}");
    assert!(row.reason.is_some(), "{row:?}");
    let accepted = platform.sandbox().accepted_at_least(1).await;
    assert_eq!(accepted[0].message_id.as_deref(), Some(row.rfc_message_id.as_str()));

    // Neither a new worker nor the same mail again moves it.
    platform.worker(0).kill_and_restart().await;
    platform.sandbox().deliver(&office.address, mails::mail(BANNERS).raw).await;
    office.poll().await;
    platform.no_jobs_left().await;
    assert_eq!(platform.sandbox().accepted().await.len(), 1);
    assert_eq!(platform.ledger().await.len(), 1);
    platform.finish().await;
}

/// The job dies of what has nothing to do with the mail server: its PDF cannot be read.
async fn a_reply_whose_job_died_has_failed_until_it_is_redriven(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let settings = json!({ "poll_interval_seconds": NEVER, "daily_cap": 0 });
    let office = platform.workshop_with(settings).await;
    platform.sandbox().deliver(&office.address, mails::mail(BANNERS).raw).await;
    office.poll().await;
    ledger_in_state(&platform, "planned").await;
    let message = office.api.all("/v1/messages").await.remove(0);
    let quote = message["quote_id"].as_str().unwrap().to_owned();
    let folder = platform.folder().join("objects").join(&office.tenant_id).join("quotes").join(&quote);
    let pdf = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let away = folder.join("away.pdf");
    std::fs::rename(&pdf, &away).unwrap();
    std::os::unix::fs::symlink(&pdf, &pdf).unwrap();
    office.api.patch(&format!("/v1/accounts/{}", office.account_id), &json!({ "daily_cap": 9 })).await.ok();
    let letters = async || office.api.all("/v1/dead-letters?kind=send_email").await;
    hurry(&office, "send_email", || async { !letters().await.is_empty() }).await;

    let (message, quote) = (format!("/v1/messages/{}", message["id"].as_str().unwrap()), format!("/v1/quotes/{quote}"));
    let both = async || (office.api.get(&message).await.ok(), office.api.get(&quote).await.ok());
    let (failed, of) = both().await;
    assert_eq!((&failed["state"], &of["state"]), (&json!("failed"), &json!("failed")), "{failed} {of}");
    assert!(failed["reason"].as_str().unwrap().starts_with("its job failed for good: "), "{failed}");

    std::fs::remove_file(&pdf).unwrap();
    std::fs::rename(&away, &pdf).unwrap();
    platform.api().post("/v1/queues/email/pause", &json!({})).await.ok();
    let letter = letters().await.remove(0);
    let redrive = format!("/v1/dead-letters/{}/redrive", letter["id"].as_str().unwrap());
    for _ in 0..2 {
        office.api.post(&redrive, &json!({})).await;
    }
    let (sending, of) = both().await;
    assert_eq!((&sending["state"], &of["state"]), (&json!("sending"), &json!("sending")), "{sending} {of}");
    platform.api().post("/v1/queues/email/resume", &json!({})).await.ok();
    ledger_in_state(&platform, "accepted").await;
    platform.no_jobs_left().await;
    assert_eq!(platform.sandbox().accepted().await.len(), 1);
    assert_eq!(both().await.1["state"], "sent");
    platform.finish().await;
}

/// Whether one job is cancelled or many: whoever looks at the message or its quote is not left to wait for what never comes.
async fn a_reply_whose_job_is_cancelled_is_skipped(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let settings = json!({ "poll_interval_seconds": NEVER, "daily_cap": 0 });
    let office = platform.workshop_with(settings).await;
    let skipped = async |many: usize| {
        let messages = office.api.all("/v1/messages?state=skipped").await;
        let quotes = office.api.all("/v1/quotes?state=failed").await;
        assert_eq!((messages.len(), quotes.len()), (many, many));
        for of in messages.iter().chain(&quotes) {
            assert_eq!(of["reason"], "its job was cancelled", "{of}");
        }
    };
    for (before, mail) in [BANNERS, STICKERS].into_iter().enumerate() {
        platform.sandbox().deliver(&office.address, mails::mail(mail).raw).await;
        office.poll().await;
        ledger_in_state(&platform, "planned").await;
        skipped(before).await;
        let waiting =
            eventually("its job", || async { office.api.all("/v1/jobs?kind=send_email&state=available").await.pop() })
                .await;
        if before == 0 {
            let cancel = format!("/v1/jobs/{}/cancel", waiting["id"].as_str().unwrap());
            for _ in 0..2 {
                assert_eq!(office.api.post(&cancel, &json!({})).await.ok()["state"], "cancelled");
            }
        } else {
            let job =
                office.api.post("/v1/jobs/cancel", &json!({ "kind": "send_email" })).await.expect_status(202).body;
            let done = office.api.finished(job["id"].as_str().unwrap()).await;
            assert_eq!(done.output.unwrap()["cancelled"], 1);
        }
        skipped(before + 1).await;
    }
    office.api.patch(&format!("/v1/accounts/{}", office.account_id), &json!({ "daily_cap": 9 })).await.ok();
    platform.no_jobs_left().await;
    assert!(platform.sandbox().accepted().await.is_empty());
    platform.finish().await;
}

/// Its attempt stays open, and nobody goes on with it.
async fn a_reply_whose_worker_was_killed_before_its_data_is_skipped_with_its_job(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let office = platform.workshop(NEVER).await;
    let held = json!({ "target": "smtp", "kind": "latency", "stage": "mail", "times": 1, "ms": 20_000 });
    platform.sandbox().fault(held).await;
    platform.sandbox().deliver(&office.address, mails::mail(BANNERS).raw).await;
    office.poll().await;
    eventually("the attempt to be held", || async { (platform.sandbox().struck().await[0] == 1).then_some(()) }).await;
    platform.api().post("/v1/queues/email/pause", &json!({})).await.ok();
    platform.worker(0).kill_and_restart().await;
    let job = eventually("its job to wait again", || async {
        office.api.all("/v1/jobs?kind=send_email&state=available").await.pop()
    })
    .await;
    office.api.post(&format!("/v1/jobs/{}/cancel", job["id"].as_str().unwrap()), &json!({})).await.ok();
    let (message, quote) = (office.api.all("/v1/messages").await.remove(0), office.quotes().await.remove(0));
    assert_eq!((&message["state"], &quote["state"]), (&json!("skipped"), &json!("failed")), "{message} {quote}");
    platform.api().post("/v1/queues/email/resume", &json!({})).await.ok();
    platform.no_jobs_left().await;
    assert!(platform.sandbox().accepted().await.is_empty());
    platform.finish().await;
}

/// The run after the kill holds the unit of the first, and cannot tell whether it was used.
async fn a_unit_that_a_killed_worker_may_have_used_stays_charged_while_the_ledger_is_away(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let settings = json!({ "poll_interval_seconds": NEVER, "daily_cap": 1 });
    let office = platform.workshop_with(settings).await;
    let held = json!({ "target": "smtp", "kind": "latency", "stage": "accepted", "times": 1, "ms": 20_000 });
    platform.sandbox().fault(held).await;
    platform.send(&office, &["one@kunden.example".to_owned()], None).await;
    platform.sandbox().accepted_at_least(1).await;
    platform.send(&office, &["two@kunden.example".to_owned()], None).await;

    let connection = platform.database().connection().await;
    connection.execute_unprepared("ALTER TABLE messages RENAME TO messages_away").await.unwrap();
    platform.worker(0).kill_and_restart().await;
    eventually("a run that could not read the ledger", || async {
        let waiting = office.api.all("/v1/jobs?kind=send_email&state=retryable").await;
        let error = waiting.iter().find_map(|job| job["error"].as_str());
        error.is_some_and(|error| error.contains("database")).then_some(())
    })
    .await;
    connection.execute_unprepared("ALTER TABLE messages_away RENAME TO messages").await.unwrap();
    for _ in 0..3 {
        let probe = office.api.submit("diagnostic.sleep", &json!({ "ms": 250 })).await;
        office.api.finished(&probe.id).await;
    }
    assert_eq!(platform.sandbox().accepted().await.len(), 1, "the cap is 1: {:#?}", platform.ledger().await);
    platform.abandon("the second has its unit tomorrow");
}

/// A dead letter of one mailbox is redriven with a message of another, whose cap is used up.
async fn a_redrive_with_another_mailboxs_message_stays_within_its_cap(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let office = platform.workshop(NEVER).await;
    platform.sandbox().fault(json!({ "target": "smtp", "kind": "reject_5xx", "stage": "rcpt", "times": 1 })).await;
    platform.send(&office, &["one@kunden.example".to_owned()], None).await;
    let letter =
        eventually("the dead letter", || async { office.api.all("/v1/dead-letters?kind=send_email").await.pop() })
            .await;
    let address = "zweite@lindner-schilder.example".to_owned();
    let settings = json!({ "poll_interval_seconds": NEVER, "daily_cap": 0 });
    let account_id = platform.mailbox(&office.api, &address, settings).await;
    let other = Office { account_id, address, ..office.clone() };
    platform.send(&other, &["two@kunden.example".to_owned()], None).await;

    let messages = office.api.all("/v1/messages").await;
    let message = messages.iter().find(|message| message["state"] == "planned").unwrap()["id"].clone();
    let lane = json!({ "name": "any", "scopes": [format!("mailbox:{}", other.address)] });
    let redrive = format!("/v1/dead-letters/{}/redrive", letter["id"].as_str().unwrap());
    let body = json!({ "payload": { "message_id": message, "lane": lane } });
    let redriven = office.api.post(&redrive, &body).await.ok()["redriven_job_id"].as_str().unwrap().to_owned();
    office.api.finished(&redriven).await;
    assert!(platform.sandbox().accepted().await.is_empty(), "its cap is 0");

    office.api.patch(&format!("/v1/accounts/{}", other.account_id), &json!({ "daily_cap": 1 })).await.ok();
    ledger_in_state(&platform, "accepted").await;
    platform.no_jobs_left().await;
    assert_eq!(platform.sandbox().accepted().await.len(), 1);
    platform.finish().await;
}

/// Each run after the kill finds the ledger away. Only the first holds the unit that the killed one may have used.
async fn a_ledger_that_is_away_for_long_costs_no_more_than_what_may_have_been_used(database: DatabaseKind) {
    const RUNS: usize = 4;
    let platform = Platform::with(database).start().await;
    let office = platform.workshop(NEVER).await;
    let held = json!({ "target": "smtp", "kind": "latency", "stage": "accepted", "times": 1, "ms": 20_000 });
    platform.sandbox().fault(held).await;
    platform.send(&office, &["one@kunden.example".to_owned()], None).await;
    platform.sandbox().accepted_at_least(1).await;

    let connection = platform.database().connection().await;
    connection.execute_unprepared("ALTER TABLE messages RENAME TO messages_away").await.unwrap();
    platform.worker(0).kill_and_restart().await;
    hurry(&office, "send_email", || async {
        let waiting = office.api.all("/v1/jobs?kind=send_email&state=retryable").await;
        waiting.iter().any(|job| job["attempt"].as_u64() >= Some(RUNS as u64))
    })
    .await;
    connection.execute_unprepared("ALTER TABLE messages_away RENAME TO messages").await.unwrap();
    hurry(&office, "send_email", || async { platform.ledger().await.iter().all(|row| row.state == "unknown") }).await;
    platform.no_jobs_left().await;
    assert_eq!(platform.units(&office).await, (1, 0));
    assert_eq!(platform.sandbox().accepted().await.len(), 1);
    platform.finish().await;
}

/// A mail server that is away for longer than the job has attempts.
#[tokio::test]
async fn a_reply_that_was_given_up_is_sent_by_a_redrive() {
    let platform = Platform::start().await;
    let office = platform.workshop(NEVER).await;
    platform.sandbox().fault(json!({ "target": "smtp", "kind": "reject_4xx", "stage": "end" })).await;
    platform.sandbox().deliver(&office.address, mails::mail(BANNERS).raw).await;
    office.poll().await;
    let letters = async || office.api.all("/v1/dead-letters?kind=send_email").await;
    hurry(&office, "send_email", || async { !letters().await.is_empty() }).await;
    let row = ledger_in_state(&platform, "failed").await;
    assert_eq!(row.attempt, 20, "{row:?}");
    platform.sandbox().clear_faults().await;
    let letter = letters().await.remove(0);
    office.api.post(&format!("/v1/dead-letters/{}/redrive", letter["id"].as_str().unwrap()), &json!({})).await;
    ledger_in_state(&platform, "accepted").await;
    platform.no_jobs_left().await;
    assert_eq!(platform.sandbox().accepted().await.len(), 1);
    platform.finish().await;
}

async fn ledger_in_state(platform: &Platform, state: &str) -> LedgerRow {
    eventually(&format!("a message in state {state}"), || async {
        platform.ledger().await.into_iter().find(|row| row.state == state)
    })
    .await
}

#[tokio::test]
async fn a_reply_refused_for_now_is_sent_later_with_the_same_message_id() {
    let platform = Platform::start().await;
    let office = platform.workshop(NEVER).await;
    for stage in ["connect", "auth", "mail", "rcpt", "end"] {
        platform.sandbox().fault(json!({ "target": "smtp", "kind": "reject_4xx", "stage": stage, "times": 1 })).await;
    }
    platform.sandbox().deliver(&office.address, mails::mail(BANNERS).raw).await;
    office.poll().await;
    hurry(&office, "send_email", || async { platform.sandbox().accepted().await.len() == 1 }).await;

    let row = ledger_in_state(&platform, "accepted").await;
    let accepted = platform.sandbox().accepted().await;
    assert_eq!(accepted.len(), 1);
    assert_eq!(accepted[0].message_id.as_deref(), Some(row.rfc_message_id.as_str()));
    platform.finish().await;
}

/// Runs the kind's waiting jobs now, again and again, until `done`.
async fn hurry<F: Future<Output = bool>>(office: &Office, kind: &str, done: impl Fn() -> F) {
    eventually(&format!("{kind} to get through"), || async {
        if done().await {
            return Some(());
        }
        for job in office.api.all(&format!("/v1/jobs?kind={kind}&state=retryable")).await {
            // It may have started meanwhile: then there is nothing to hurry.
            let _ = office.api.post(&format!("/v1/jobs/{}/retry", job["id"].as_str().unwrap()), &json!({})).await;
        }
        None
    })
    .await;
}

#[tokio::test]
async fn a_reply_refused_for_good_fails_with_the_servers_words() {
    let platform = Platform::start().await;
    let office = platform.workshop(NEVER).await;
    platform
        .sandbox()
        .fault(
            json!({ "target": "smtp", "kind": "reject_5xx", "stage": "rcpt", "reply": "550 5.1.1 no such user here" }),
        )
        .await;
    platform.sandbox().deliver(&office.address, mails::mail(BANNERS).raw).await;
    office.poll().await;
    let row = ledger_in_state(&platform, "failed").await;
    assert!(row.reason.as_deref().is_some_and(|reason| reason.contains("no such user here")), "{row:?}");
    assert!(platform.sandbox().accepted().await.is_empty());
    let quote = eventually("the quote to fail", || async {
        office.quotes().await.into_iter().find(|quote| quote["state"] == "failed")
    })
    .await;
    assert!(quote["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{quote}");
    platform.finish().await;
}

/// The night to 28 March 2027 begins summer time in Berlin: that day has 23 hours.
#[tokio::test]
async fn the_daily_cap_holds_over_midnight_and_a_change_of_clocks_under_faketime() {
    let platform = Platform::with(DatabaseKind::Sqlite).at_time("2027-03-27T21:30:00Z".parse().unwrap()).start().await;
    let account = json!({ "poll_interval_seconds": NEVER, "daily_cap": 2, "time_zone": "Europe/Berlin" });
    let office = platform.workshop_with(account).await;
    for mail in [
        "01-de-banner-vereinsfest",
        "03-en-wine-bar-signs",
        "08-it-lettere-gelateria",
        "10-pl-naklejki-miod",
        "22-sv-skyltar",
    ] {
        platform.sandbox().deliver(&office.address, mails::mail(&format!("{mail}.eml")).raw).await;
    }
    office.poll().await;
    rest_at(&platform, &office, 2).await;

    let time = platform.time().unwrap();
    time.set("2027-03-27T22:59:50Z".parse().unwrap()); // 23:59:50 in Berlin
    rest_at(&platform, &office, 2).await;
    time.set("2027-03-27T23:00:01Z".parse().unwrap()); // midnight, winter time
    rest_at(&platform, &office, 4).await;
    time.set("2027-03-28T21:59:50Z".parse().unwrap()); // 23:59:50, summer time
    rest_at(&platform, &office, 4).await;
    time.set("2027-03-28T22:00:01Z".parse().unwrap());
    rest_at(&platform, &office, 5).await;
    assert!(platform.ledger().await.iter().all(|row| row.state == "accepted" && row.attempt == 1));
    platform.finish().await;
}

/// Exactly `count` replies are out, and the others stand still: a later job of the same worker overtakes them.
async fn rest_at(platform: &Platform, office: &Office, count: usize) {
    platform.sandbox().accepted_at_least(count).await;
    eventually("every quote to be rendered", || async {
        let quotes = office.api.all("/v1/quotes").await;
        let waiting =
            quotes.iter().filter(|quote| matches!(quote["state"].as_str(), Some("rendered" | "sending" | "sent")));
        (waiting.count() == 5).then_some(())
    })
    .await;
    for _ in 0..3 {
        let probe = office.api.submit("diagnostic.sleep", &json!({ "ms": 250 })).await;
        office.api.finished(&probe.id).await;
    }
    assert_eq!(platform.sandbox().accepted().await.len(), count);
}
