//! Jobs that died: kept in the database, driven again once, or discarded.

use postrider_tests::{Api, DatabaseKind, Platform, eventually};
use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait as _,
};
use serde_json::{Value, json};

on_both_databases!(
    a_dead_job_is_kept_and_redriven_once,
    a_discarded_dead_letter_stays_discarded,
    many_dead_letters_are_settled_by_a_job,
    a_bulk_redrive_waits_for_room_in_the_queue,
);

/// The only turn to write that an SQLite database has, until it ends.
async fn turn_to_write(connection: &DatabaseConnection) -> DatabaseTransaction {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    connection.begin_with_options(options).await.unwrap()
}

async fn letter_of(api: &Api, job: &str) -> Value {
    eventually("the job's dead letter", || async {
        api.all("/v1/dead-letters").await.into_iter().find(|letter| letter["job_id"] == job)
    })
    .await
}

async fn a_dead_job_is_kept_and_redriven_once(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let api = platform.tenant("Undertakers").await;
    let payload = json!({ "times": 1, "error": "no such paper", "permanent": true });
    let job = api.submit("diagnostic.fail", &payload).await;
    let dead = api.finished(&job.id).await;
    assert_eq!((dead.state.as_str(), dead.error.as_deref()), ("dead", Some("no such paper")));

    let letter = letter_of(&api, &job.id).await;
    assert_eq!(letter["kind"], "diagnostic.fail");
    assert_eq!(letter["state"], "dead");
    assert!(letter["error"].as_str().unwrap().contains("no such paper"), "{letter}");
    let stranger = platform.tenant("Strangers").await;
    let path = format!("/v1/dead-letters/{}", letter["id"].as_str().unwrap());
    stranger.post(&format!("{path}/redrive"), &json!({})).await.problem(404, "not-found");

    // Many at once: one job.
    let redrive = async || api.post(&format!("{path}/redrive"), &json!({})).await;
    let answers = futures::future::join_all((0..8).map(|_| redrive())).await;
    let driven: Vec<&Value> = answers.iter().filter(|answer| answer.status < 300).map(|answer| &answer.body).collect();
    assert!(!driven.is_empty(), "{answers:#?}");
    let again = eventually("the redriven job's id", || async {
        let letter = api.get(&path).await.ok();
        letter["redriven_job_id"].as_str().map(ToOwned::to_owned)
    })
    .await;
    assert_ne!(again, job.id);
    assert_eq!(api.finished(&again).await.state, "dead");
    let letters = eventually("the second death", || async {
        let letters = api.all("/v1/dead-letters").await;
        (letters.len() >= 2).then_some(letters)
    })
    .await;
    assert_eq!(letters.len(), 2, "one death more: {letters:#?}");
    platform.finish().await;
}

async fn a_discarded_dead_letter_stays_discarded(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let api = platform.tenant("Shredders").await;
    let job = api.submit("diagnostic.fail", &json!({ "times": 1, "permanent": true })).await;
    let letter = letter_of(&api, &job.id).await;
    let path = format!("/v1/dead-letters/{}", letter["id"].as_str().unwrap());
    api.post(&format!("{path}/discard"), &json!({})).await.ok();
    assert_eq!(api.get(&path).await.ok()["state"], "discarded");
    api.post(&format!("{path}/redrive"), &json!({})).await.problem(409, "state-conflict");
    platform.finish().await;
}

async fn many_dead_letters_are_settled_by_a_job(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let api = platform.tenant("Morgue").await;
    for n in 0..6 {
        let error = if n < 4 { format!("no answer after {n} s") } else { format!("street {n} is closed") };
        api.submit("diagnostic.fail", &json!({ "times": 1, "error": error, "permanent": true })).await;
    }
    let groups = eventually("both groups of letters", || async {
        let groups = api.get("/v1/dead-letters/groups").await.ok()["items"].as_array().unwrap().clone();
        (groups.len() == 2 && groups[0]["count"] == 4 && groups[1]["count"] == 2).then_some(groups)
    })
    .await;
    let (group, other) = (groups[0]["group"].as_str().unwrap(), groups[1]["group"].as_str().unwrap());
    let letters = api.all(&format!("/v1/dead-letters?group={group}")).await;
    assert_eq!(letters.len(), 4);
    let attempt = &letters[0]["history"][0];
    assert!(attempt["error"].as_str().unwrap().starts_with("no answer after"), "{attempt}");

    let wrong = json!({ "group": group, "kind": "diagnostic.fail", "payload": { "tims": 0 } });
    api.post("/v1/dead-letters/redrive", &wrong).await.problem(422, "invalid-payload");
    api.post("/v1/dead-letters/redrive", &json!({ "payload": {} })).await.expect_status(422);

    for path in ["redrive", "discard"] {
        let preview = json!({ "group": group, "dry_run": true });
        let job = api.post(&format!("/v1/dead-letters/{path}"), &preview).await.expect_status(202).body;
        assert_eq!(api.finished(job["id"].as_str().unwrap()).await.output, Some(json!({ "total": 4 })), "{path}");
        assert_eq!(api.all("/v1/dead-letters?state=dead").await.len(), 6, "nothing was done yet");
    }

    // Three of the four, with a payload that does not fail.
    let selection = json!({ "group": group, "kind": "diagnostic.fail", "limit": 3, "payload": { "times": 0 } });
    let job = api.post("/v1/dead-letters/redrive", &selection).await.expect_status(202).body;
    let done = api.finished(job["id"].as_str().unwrap()).await;
    assert_eq!(done.output, Some(json!({ "total": 3, "settled": 3, "refused": 0, "gone": 0 })));
    let redriven = api.all(&format!("/v1/dead-letters?state=redriven&group={group}")).await;
    assert_eq!(redriven.len(), 3);
    for letter in redriven {
        let again = api.finished(letter["redriven_job_id"].as_str().unwrap()).await;
        assert_eq!(again.state, "completed", "{letter}");
    }

    let discard = json!({ "group": other });
    let job = api.post("/v1/dead-letters/discard", &discard).await.expect_status(202).body;
    let done = api.finished(job["id"].as_str().unwrap()).await;
    assert_eq!(done.output, Some(json!({ "total": 2, "settled": 2, "refused": 0, "gone": 0 })));
    let events = api.get("/v1/audit-events?operation=discard_dead_letters").await.ok();
    // The oldest is the question how many there are.
    let [told, asked, _] = &events["items"].as_array().unwrap()[..] else { panic!("{events:#}") };
    assert_eq!((&asked["outcome"], &asked["request_id"]), (&json!("attempted"), &told["request_id"]));
    assert_eq!((&told["actor_kind"], &told["subject_id"]), (&json!("system"), &job["id"]));
    assert_eq!(
        (&told["after"]["settled"], &told["after"]["filter"]["group"]),
        (&json!(2), &discard["group"]),
        "{told:#}"
    );
    assert_eq!(api.all("/v1/dead-letters?state=dead").await.len(), 1);
    platform.finish().await;
}

async fn a_bulk_redrive_waits_for_room_in_the_queue(database: DatabaseKind) {
    let platform = Platform::with(database).setting("QUEUE_DEPTH_LIMITS", &"diagnostics=4").start().await;
    let api = platform.tenant("Crowded").await;
    for _ in 0..6 {
        let job = api.submit("diagnostic.fail", &json!({ "times": 1, "permanent": true })).await;
        api.finished(&job.id).await;
    }
    let dead = async || api.all("/v1/dead-letters?state=dead").await;
    eventually("six letters", || async { (dead().await.len() == 6).then_some(()) }).await;

    platform.api().post("/v1/queues/diagnostics/pause", &json!({})).await.ok();
    let selection = json!({ "kind": "diagnostic.fail", "payload": { "times": 0 } });
    let job = api.post("/v1/dead-letters/redrive", &selection).await.expect_status(202).body;
    let job = job["id"].as_str().unwrap();
    let waiting = async || {
        eventually("it to wait for room", || async {
            let job = api.job(job).await;
            job.progress.filter(|said| said["waits_for_room"] == true && job.state == "scheduled")
        })
        .await
    };
    let said = waiting().await;
    let counts = ["total", "done", "settled", "refused", "left"].map(|name| said[name].as_u64().unwrap());
    assert_eq!(counts, [6, 4, 4, 0, 2], "{said}");
    let left = dead().await;
    assert_eq!(left.len(), 2, "what it has no room for is dead, so that others may settle it");
    assert!(left.iter().all(|letter| letter["note"].as_str().unwrap().contains("no room")), "{left:#?}");
    api.post(&format!("/v1/dead-letters/{}/discard", left[0]["id"].as_str().unwrap()), &json!({})).await.ok();

    platform.api().post("/v1/queues/diagnostics/resume", &json!({})).await.ok();
    let all_done = async || {
        let redriven = api.all("/v1/dead-letters?state=redriven").await;
        for letter in &redriven {
            let again = api.finished(letter["redriven_job_id"].as_str().unwrap()).await;
            assert_eq!(again.state, "completed", "{letter}");
        }
        redriven.len()
    };
    assert_eq!(all_done().await, 4);
    // It goes on by itself after a while; this is sooner.
    let _ = api.post(&format!("/v1/jobs/{job}/retry"), &json!({})).await;
    let done = api.finished(job).await;
    assert_eq!(done.output, Some(json!({ "total": 6, "settled": 5, "refused": 0, "gone": 1 })));
    assert_eq!(done.attempt, 1, "waiting burns no attempt");
    assert_eq!(all_done().await, 5);
    platform.finish().await;
}

/// A bulk run whose worker is killed goes on where it was: what was settled by then counts, and its limit holds.
#[tokio::test]
async fn a_bulk_run_goes_on_after_a_kill() {
    let platform = Platform::with(DatabaseKind::Sqlite).start().await;
    let api = platform.tenant("Interrupted").await;
    let fail = json!({ "kind": "diagnostic.fail", "payload": { "times": 1, "permanent": true } });
    api.post("/v1/jobs/batch", &vec![fail; 6]).await.expect_status(202);
    let letters = eventually("six letters", || async {
        let letters = api.all("/v1/dead-letters?state=dead").await;
        (letters.len() == 6).then_some(letters)
    })
    .await;

    // The worker has noted how many there are, and waits for its turn to write when it is killed.
    let worker = platform.worker(0);
    worker.pause();
    let selection = json!({ "kind": "diagnostic.fail", "limit": 5 });
    let job = api.post("/v1/dead-letters/discard", &selection).await.expect_status(202).body;
    let job = job["id"].as_str().unwrap();
    let connection = platform.database().connection().await;
    let turn = turn_to_write(&connection).await;
    worker.resume();
    eventually("its first note", || async {
        api.job(job).await.progress.filter(|progress| progress["left"] == 6 && progress["done"] == 0)
    })
    .await;
    worker.kill();
    turn.rollback().await.unwrap();
    connection.close().await.unwrap();
    for letter in &letters[..2] {
        let path = format!("/v1/dead-letters/{}/discard", letter["id"].as_str().unwrap());
        api.post(&path, &json!({})).await.ok();
    }
    worker.start();
    worker.ready().await;
    let done = api.finished(job).await;
    assert_eq!(done.output, Some(json!({ "total": 5, "settled": 5, "refused": 0, "gone": 0 })));
    assert_eq!(api.all("/v1/dead-letters?state=dead").await.len(), 1, "the limit holds for both runs together");
    platform.finish().await;
}

/// A bulk run whose worker is killed when all is done but the queue was not told so is told of once.
#[tokio::test]
async fn a_bulk_run_that_is_repeated_leaves_one_event() {
    let platform = Platform::with(DatabaseKind::Sqlite).start().await;
    let api = platform.tenant("Repeated").await;
    let fail = json!({ "kind": "diagnostic.fail", "payload": { "times": 1, "permanent": true } });
    api.post("/v1/jobs/batch", &vec![fail; 3]).await.expect_status(202);
    eventually("three letters", || async { (api.all("/v1/dead-letters?state=dead").await.len() == 3).then_some(()) })
        .await;

    // The worker waits for its turn to write; meanwhile Redis goes away, so that the queue hears nothing more.
    let worker = platform.worker(0);
    worker.pause();
    let job = api.post("/v1/dead-letters/discard", &json!({ "kind": "diagnostic.fail" })).await.expect_status(202).body;
    let job = job["id"].as_str().unwrap();
    let connection = platform.database().connection().await;
    let turn = turn_to_write(&connection).await;
    worker.resume();
    eventually("its first note", || async { api.job(job).await.progress.filter(|progress| progress["left"] == 3) })
        .await;
    platform.redis().kill();
    turn.rollback().await.unwrap();
    let told = "SELECT after FROM audit_events WHERE actor_kind = 'system' AND operation = 'discard_dead_letters'";
    let events = async || {
        let sql = Statement::from_string(connection.get_database_backend(), told);
        connection.query_all_raw(sql).await.unwrap().len()
    };
    eventually("its event", || async { (events().await == 1).then_some(()) }).await;
    worker.kill();
    platform.redis().restart().await;
    worker.start();
    worker.ready().await;
    let done = api.finished(job).await;
    assert_eq!(done.output, Some(json!({ "total": 3, "settled": 3, "refused": 0, "gone": 0 })));
    assert_eq!(events().await, 1);
    connection.close().await.unwrap();
    platform.finish().await;
}
