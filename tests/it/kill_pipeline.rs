//! A worker is killed while it holds one mail at each step of the pipeline: each sender gets exactly one reply, or the ledger says
//! `unknown`.

use postrider_tests::platform::LedgerRow;
use postrider_tests::wait::within;
use postrider_tests::{DatabaseKind, Platform, eventually};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement, TransactionTrait};
use serde_json::json;

const NEVER: u32 = 86_400;
/// A killed worker's session ends after 6 s; then its jobs run again.
const RECOVERY: std::time::Duration = std::time::Duration::from_secs(60);
/// Longer than it takes a busy machine to bring each message to its step and to kill the worker; the product waits longer.
const HELD_MS: u64 = 20_000;

/// The steps at which an outside server holds the worker, as the sandbox names them, each for the mail of the same name.
const OUTSIDE: [(&str, &str, &str); 5] = [
    ("extract", "llm", "request"),
    ("rcpt", "smtp", "rcpt"),
    ("data", "smtp", "data"),
    ("end", "smtp", "end"),
    ("accepted", "smtp", "accepted"),
];
/// The steps that only talk to the database: it holds the worker in its last write.
const INSIDE: [(&str, &str); 2] = [("price", "priced"), ("render", "rendered")];

/// Whoever writes the row of such a quote waits for a lock that the test holds.
async fn hold_writes(database: &DatabaseConnection) {
    let conditions = INSIDE.map(|(name, state)| {
        format!(
            "IF NEW.state = '{state}' AND OLD.state <> '{state}' AND NEW.customer_address = '{name}@kunden.example' \
             THEN PERFORM pg_advisory_xact_lock_shared(4711); END IF;"
        )
    });
    let conditions = conditions.join(" ");
    let function =
        format!("CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {conditions} RETURN NEW; END $$");
    database.execute_unprepared(&function).await.unwrap();
    let trigger = "CREATE TRIGGER hold BEFORE UPDATE ON quotes FOR EACH ROW EXECUTE FUNCTION hold()";
    database.execute_unprepared(trigger).await.unwrap();
}

async fn count(database: &DatabaseConnection, sql: &str) -> i64 {
    let row = database.query_one_raw(Statement::from_string(database.get_database_backend(), sql)).await.unwrap();
    row.unwrap().try_get_by_index(0).unwrap()
}

#[tokio::test]
async fn a_worker_killed_at_every_step_answers_each_mail_once_or_says_unknown() {
    let platform = Platform::with(DatabaseKind::Postgres).start().await;
    let office = platform.workshop(NEVER).await;
    office.poll().await;
    let database = platform.database().connection().await;
    hold_writes(&database).await;
    let lock = database.begin().await.unwrap();
    lock.execute_unprepared("SELECT pg_advisory_xact_lock(4711)").await.unwrap();
    for (name, target, stage) in OUTSIDE {
        let sender = format!("{name}@kunden.example");
        let fault = json!({
            "target": target, "kind": "latency", "stage": stage, "match": sender, "times": 1, "ms": HELD_MS,
        });
        platform.sandbox().fault(fault).await;
    }
    let names: Vec<&str> =
        OUTSIDE.iter().map(|(name, _, _)| *name).chain(INSIDE.iter().map(|(name, _)| *name)).collect();
    for name in &names {
        platform.deliver_request(&office, name).await;
    }
    office.poll().await;
    eventually("a mail to be held at each step outside", || async {
        (platform.sandbox().struck().await.iter().sum::<u64>() == 5).then_some(())
    })
    .await;
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    eventually("a mail to be held at each step inside", || async {
        (count(&database, waiting).await == 2).then_some(())
    })
    .await;
    platform.worker(0).kill();
    lock.rollback().await.unwrap();
    platform.worker(0).start();
    platform.worker(0).ready().await;
    let rows = settled(&platform, names.len()).await;
    one_reply_or_doubt(&platform, &rows, &["data", "end", "accepted"]).await;

    // Reading itself is held last, because all mail of a mailbox comes through one poll.
    platform.sandbox().clear_faults().await;
    let fault = json!({ "target": "imap", "kind": "latency", "stage": "fetch", "times": 1, "skip": 1, "ms": HELD_MS });
    platform.sandbox().fault(fault).await;
    platform.deliver_request(&office, "fetch").await;
    office.api.submit("poll_mailbox", &json!({ "account_id": office.account_id })).await;
    eventually("the poll to be held", || async { (platform.sandbox().struck().await == [1]).then_some(()) }).await;
    platform.worker(0).kill_and_restart().await;
    let rows = settled(&platform, names.len() + 1).await;
    one_reply_or_doubt(&platform, &rows, &["data", "end", "accepted"]).await;
    assert_eq!(office.mails().await.len(), names.len() + 1);
    database.close().await.unwrap();
    platform.finish().await;
}

async fn settled(platform: &Platform, count: usize) -> Vec<LedgerRow> {
    within(RECOVERY, "every mail to have its reply or a doubt", || async {
        let rows = platform.ledger().await;
        let settled = rows.iter().filter(|row| matches!(row.state.as_str(), "accepted" | "unknown")).count();
        (settled == count).then_some(rows)
    })
    .await
}

/// Nobody got two; who got none is `unknown`; and only a kill after the data had started makes doubt.
async fn one_reply_or_doubt(platform: &Platform, rows: &[LedgerRow], doubtful: &[&str]) {
    platform.no_jobs_left().await;
    let accepted = platform.sandbox().accepted().await;
    for row in rows {
        let name = row.to_address.split('@').next().unwrap();
        let replies = accepted.iter().filter(|mail| mail.rcpt_to == [row.to_address.clone()]).count();
        assert!(replies <= 1, "{name} got {replies} replies: {row:?}");
        assert!(row.state == "accepted" || doubtful.contains(&name), "{row:?}");
        assert!(row.state == "unknown" || replies == 1, "accepted and not there: {row:?}");
        assert!(row.state == "accepted" || row.reason.is_some(), "a doubt without a reason: {row:?}");
    }
    let doubts = rows.iter().filter(|row| row.state == "unknown").count();
    assert_eq!(doubts, doubtful.len(), "{rows:#?}");
}
