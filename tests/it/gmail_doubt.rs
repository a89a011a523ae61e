//! Doubt about a draft that was to be sent: it ends when somebody saw what became of the draft, not before.

mod caps;

use postrider_queue::{QueueClient, QueueConfig};
use postrider_shared::clock::Clock;
use postrider_shared::config::DatabaseConfig;
use postrider_shared::database::Database;
use postrider_shared::messages::Verdict;
use postrider_shared::stores::Stores;
use postrider_tests::platform::Office;
use postrider_tests::wait::within;
use postrider_tests::{DatabaseKind, Platform, eventually};
use sea_orm::ConnectionTrait;
use serde_json::json;

use super::gmail_api::{HELD_MS, RECOVERY, drafts, fault, hurry, in_state, tend, workshop};

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

/// The draft of the message to `here@` still stands, that to `gone@` went out, and Gmail shows neither.
async fn one_here_and_one_gone(platform: &Platform) {
    let failing = json!({ "match": "here@", "reply": "503 backendError Backend Error" });
    fault(platform, "send", "server_error", failing).await;
    fault(platform, "accepted", "reset_after_accept", json!({ "match": "gone@" })).await;
    for stage in ["lookup", "search"] {
        fault(platform, stage, "missing_fields", json!({})).await;
    }
}

async fn each_fault_struck_once(platform: &Platform, what: &str) {
    within(RECOVERY, what, || async {
        platform.sandbox().struck().await.iter().all(|times| *times == 1).then_some(())
    })
    .await;
}

/// The worker that stood still goes on, and is told that its job is another's by now.
async fn the_first_worker_wakes(platform: &Platform) {
    platform.worker(0).resume();
    within(RECOVERY, "the first worker to hear of its call", || async {
        platform.worker(0).log().contains("outcome refused: the lease was lost").then_some(())
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

on_both_databases!(
    a_draft_in_the_hand_of_a_worker_that_stands_still_is_not_sent_beside_smtp,
    drafts_in_doubt_of_a_mailbox_that_was_switched_to_smtp_are_looked_after,
    a_draft_in_doubt_is_deleted_when_its_job_is_cancelled_unless_it_went_out,
    the_draft_of_a_discarded_letter_is_deleted,
);

/// The worker stands still while it sends the draft; its job is run by another, whom Gmail puts off; then the mailbox is switched.
async fn a_draft_in_the_hand_of_a_worker_that_stands_still_is_not_sent_beside_smtp(database: DatabaseKind) {
    let platform = Platform::with(database).workers(2).start().await;
    platform.worker(1).kill();
    let office = workshop(&platform).await;
    fault(&platform, "send", "latency", json!({ "times": 1, "ms": HELD_MS })).await;
    platform.send(&office, &["anna@kunden.example".to_owned()], None).await;
    each_fault_struck_once(&platform, "the draft to be in hand").await;
    platform.worker(0).pause();
    fault(&platform, "send", "daily_limit", json!({ "times": 1 })).await;
    platform.worker(1).start();
    platform.worker(1).ready().await;
    let account = format!("/v1/accounts/{}", office.account_id);
    within(RECOVERY, "Gmail to put the other worker off", || async {
        office.api.get(&account).await.ok()["limited_until"].is_string().then_some(())
    })
    .await;
    office.api.patch(&account, &json!({ "transport": "smtp" })).await.ok();
    office.api.post(&format!("{account}/resume"), &json!({})).await.ok();
    in_state(&platform, "accepted").await;

    the_first_worker_wakes(&platform).await;
    assert_eq!(platform.sandbox().accepted().await.len(), 1, "the customer has it twice");
    assert!(drafts(&platform, &office).await.is_empty());
    platform.finish().await;
}

/// One went out through the API, the draft of the other still stands: it is sent by SMTP.
async fn drafts_in_doubt_of_a_mailbox_that_was_switched_to_smtp_are_looked_after(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let office = workshop(&platform).await;
    one_here_and_one_gone(&platform).await;
    platform.send(&office, &["here@kunden.example".to_owned(), "gone@kunden.example".to_owned()], None).await;
    give_up(&platform, &office, 2).await;
    platform.sandbox().clear_faults().await;
    let account = format!("/v1/accounts/{}", office.account_id);
    office.api.patch(&account, &json!({ "transport": "smtp" })).await.ok();

    let tended = tend(&office).await;
    assert_eq!((&tended["settled"], &tended["resumed"]), (&json!(1), &json!(1)), "{tended}");
    within(RECOVERY, "both to be accepted", || async {
        platform.ledger().await.iter().all(|row| row.state == "accepted").then_some(())
    })
    .await;
    assert!(drafts(&platform, &office).await.is_empty());
    tend(&office).await;
    platform.no_jobs_left().await;
    let mut accepted: Vec<_> = platform.sandbox().accepted().await.into_iter().flat_map(|mail| mail.rcpt_to).collect();
    accepted.sort_unstable();
    assert_eq!(accepted, ["gone@kunden.example", "here@kunden.example"]);
    platform.finish().await;
}

/// Waits until so many messages are in doubt, and ends their jobs: nobody but who looks after drafts does anything about them.
async fn give_up(platform: &Platform, office: &Office, many: usize) {
    let jobs = eventually("their jobs to wait", || async {
        let waiting = office.api.all("/v1/jobs?kind=send_email&state=retryable").await;
        (waiting.len() == many).then_some(waiting)
    })
    .await;
    let queue = QueueClient::connect(QueueConfig::new(platform.redis().url())).await.unwrap();
    for job in jobs {
        queue.cancel(job["id"].as_str().unwrap().parse().unwrap()).await.unwrap();
    }
    let database = Database::connect(&DatabaseConfig::at(platform.database().url())).await.unwrap();
    let stores = Stores::new(&database, &Clock::system(), None);
    for message in office.api.all("/v1/messages").await {
        let (tenant, id) = (office.tenant_id.parse().unwrap(), message["id"].as_str().unwrap().parse().unwrap());
        let attempt = stores.messages.get(tenant, id).await.unwrap().attempt();
        let given_up = Verdict::Unknown { reason: "its job is gone".to_owned() };
        stores.messages.settle(tenant, id, attempt, given_up).await.unwrap();
    }
}

/// The draft is deleted, and then the database is busy for a moment: nobody takes the draft for one that was sent.
#[tokio::test]
async fn a_deleted_draft_leaves_no_doubt_when_the_database_is_busy() {
    let platform = Platform::with(DatabaseKind::Postgres).start().await;
    let office = workshop(&platform).await;
    fault(&platform, "send", "rate_limit", json!({ "times": 1, "retry_after": 50 })).await;
    platform.send(&office, &["one@kunden.example".to_owned()], None).await;
    eventually("the draft to wait", || async {
        let waiting = office.api.all("/v1/jobs?kind=send_email&state=scheduled").await;
        (waiting.len() == 1 && drafts(&platform, &office).await.len() == 1).then_some(())
    })
    .await;
    let busy = "CREATE FUNCTION busy() RETURNS trigger LANGUAGE plpgsql AS \
                $$ BEGIN RAISE EXCEPTION 'busy' USING ERRCODE = '40001'; END $$; \
                CREATE TRIGGER busy BEFORE UPDATE ON messages FOR EACH ROW \
                WHEN (OLD.draft_id IS NOT NULL AND NEW.draft_id IS NULL) EXECUTE FUNCTION busy()";
    let connection = platform.database().connection().await;
    connection.execute_unprepared(busy).await.unwrap();
    let account = format!("/v1/accounts/{}", office.account_id);
    office.api.patch(&account, &json!({ "transport": "smtp" })).await.ok();
    for job in office.api.all("/v1/jobs?kind=send_email&state=scheduled").await {
        let _ = office.api.post(&format!("/v1/jobs/{}/retry", job["id"].as_str().unwrap()), &json!({})).await;
    }
    eventually("the draft to be deleted", || async { drafts(&platform, &office).await.is_empty().then_some(()) }).await;
    connection.execute_unprepared("DROP TRIGGER busy ON messages").await.unwrap();
    hurry(&office, || async { platform.ledger().await[0].state != "sending" }).await;
    assert_eq!(platform.ledger().await[0].state, "accepted");
    platform.no_jobs_left().await;
    assert_eq!(platform.sandbox().accepted().await.len(), 1);
    platform.finish().await;
}

/// It may be the older of the two, or not.
#[tokio::test]
async fn a_draft_that_gmail_fails_at_keeps_no_other_behind_it() {
    let platform = Platform::start().await;
    let office = workshop(&platform).await;
    fault(&platform, "send", "server_error", json!({ "reply": "503 backendError Backend Error" })).await;
    for name in ["first", "broken", "last"] {
        platform.send(&office, &[format!("{name}@kunden.example")], None).await;
    }
    give_up(&platform, &office, 3).await;
    platform.sandbox().clear_faults().await;
    let broken = platform.ledger().await.into_iter().find(|row| row.to_address.starts_with("broken@")).unwrap();
    let refused = json!({ "match": broken.draft_id, "reply": "400 invalidArgument Invalid id value" });
    fault(&platform, "lookup", "server_error", refused).await;

    let tended = tend(&office).await;
    assert_eq!((&tended["resumed"], &tended["failed"]), (&json!(2), &json!(1)), "{tended}");
    platform.sandbox().accepted_at_least(2).await;
    platform.sandbox().clear_faults().await;
    tend(&office).await;
    platform.sandbox().accepted_at_least(3).await;
    platform.no_jobs_left().await;
    assert_eq!(platform.sandbox().accepted().await.len(), 3);
    platform.finish().await;
}

async fn a_draft_in_doubt_is_deleted_when_its_job_is_cancelled_unless_it_went_out(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let office = workshop(&platform).await;
    one_here_and_one_gone(&platform).await;
    for name in ["here", "gone"] {
        platform.deliver_request(&office, name).await;
    }
    office.poll().await;
    eventually("both to be in doubt", || async {
        platform.sandbox().struck().await[..2].iter().all(|times| *times > 0).then_some(())
    })
    .await;
    platform.api().post("/v1/queues/email/pause", &json!({})).await.ok();
    let jobs = eventually("their jobs to wait", || async {
        let waiting = office.api.all("/v1/jobs?kind=send_email&state=retryable").await;
        let available = office.api.all("/v1/jobs?kind=send_email&state=available").await;
        (waiting.len() + available.len() == 2).then(|| [waiting, available].concat())
    })
    .await;
    for job in jobs {
        office.api.post(&format!("/v1/jobs/{}/cancel", job["id"].as_str().unwrap()), &json!({})).await.ok();
    }
    let messages = office.api.all("/v1/messages").await;
    assert!(messages.iter().all(|message| message["state"] == "unknown"), "nobody knows yet: {messages:#?}");

    platform.sandbox().clear_faults().await;
    platform.api().post("/v1/queues/email/resume", &json!({})).await.ok();
    tend(&office).await;
    assert!(in_state(&platform, "accepted").await.to_address.starts_with("gone@"));
    assert!(in_state(&platform, "skipped").await.to_address.starts_with("here@"));
    let failed = office.api.all("/v1/quotes?state=failed").await;
    assert_eq!((failed.len(), &failed[0]["reason"]), (1, &json!("its job was cancelled")));
    assert!(drafts(&platform, &office).await.is_empty());
    platform.no_jobs_left().await;
    assert_eq!(platform.sandbox().accepted().await.len(), 1);
    platform.finish().await;
}

/// One letter is discarded alone, the other with all of its kind.
async fn the_draft_of_a_discarded_letter_is_deleted(database: DatabaseKind) {
    // Twenty attempts of each are more than a minute allows.
    let platform = Platform::with(database).setting("GMAIL_UNITS_PER_MINUTE", &60_000).start().await;
    platform.sandbox().client().set_gmail(&json!({ "units_per_minute": 60_000 })).await.unwrap();
    let office = workshop(&platform).await;
    fault(&platform, "send", "server_error", json!({ "reply": "409 aborted Try again" })).await;
    platform.send(&office, &["one@kunden.example".to_owned(), "two@kunden.example".to_owned()], None).await;
    let letters = async || office.api.all("/v1/dead-letters?kind=send_email").await;
    hurry(&office, || async { letters().await.len() == 2 }).await;
    tend(&office).await;
    assert_eq!(drafts(&platform, &office).await.len(), 2, "a redrive sends them");

    let discard = format!("/v1/dead-letters/{}/discard", letters().await[0]["id"].as_str().unwrap());
    office.api.post(&discard, &json!({})).await.ok();
    tend(&office).await;
    assert_eq!(drafts(&platform, &office).await.len(), 1);
    let all = json!({ "kind": "send_email" });
    let job = office.api.post("/v1/dead-letters/discard", &all).await.expect_status(202).body;
    office.api.finished(job["id"].as_str().unwrap()).await;
    tend(&office).await;
    assert!(drafts(&platform, &office).await.is_empty());
    assert!(platform.ledger().await.iter().all(|row| row.state == "failed"));
    platform.no_jobs_left().await;
    assert!(platform.sandbox().accepted().await.is_empty());
    platform.finish().await;
}

#[tokio::test]
async fn a_draft_in_doubt_whose_job_is_gone_is_sent_by_another() {
    let platform = Platform::start().await;
    let office = workshop(&platform).await;
    fault(&platform, "send", "server_error", json!({ "times": 1, "reply": "503 backendError Backend Error" })).await;
    platform.deliver_request(&office, "anna").await;
    office.poll().await;
    give_up(&platform, &office, 1).await;

    tend(&office).await;
    let row = in_state(&platform, "accepted").await;
    assert_eq!(row.attempt, 2, "{row:?}");
    platform.no_jobs_left().await;
    assert_eq!(platform.sandbox().accepted().await.len(), 1);
    platform.finish().await;
}
