//! How long a unique key keeps others out.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use postrider_queue::{Enqueued, IdempotencyKey, JobState, Lane, LaneName, NewJob, ScopeKey, ScopeLimits, UniqueFor};
use tokio::sync::Semaphore;

use crate::server::{Server, WORK, config, done, job, tenant, until, until_state, work};

fn far_away() -> DateTime<Utc> {
    "2100-01-01T00:00:00Z".parse().unwrap()
}

fn held(held: UniqueFor, payload: &str) -> NewJob {
    let mut job = job("acme").unique_key("report").unique_for(held);
    job.payload = payload.as_bytes().to_vec();
    job
}

#[tokio::test]
async fn a_key_held_while_waiting_is_free_once_its_job_runs() {
    static GATE: Semaphore = Semaphore::const_new(0);
    let server = Server::start().await;
    let client = server.client().await;
    let id = client.enqueue(held(UniqueFor::Waiting, "1")).await.unwrap().id();
    assert_eq!(client.enqueue(held(UniqueFor::Waiting, "2")).await.unwrap(), Enqueued::UniqueTaken(id));

    let worker = work(&client, config(1), |_| async {
        let _permit = GATE.acquire().await.unwrap();
        done()
    });
    until_state(&client, id, JobState::Running).await;
    let Enqueued::Created(second) = client.enqueue(held(UniqueFor::Waiting, "3")).await.unwrap() else {
        panic!("the first one runs")
    };
    assert_eq!(client.enqueue(held(UniqueFor::Waiting, "4")).await.unwrap(), Enqueued::UniqueTaken(second));
    let strict = client.enqueue(held(UniqueFor::WaitingOrRunning, "5")).await.unwrap();
    assert_eq!(strict, Enqueued::UniqueTaken(second));
    GATE.add_permits(2);
    until_state(&client, second, JobState::Completed).await;
    // The first one's end did not free the second one's key, the second one's end did.
    assert!(matches!(client.enqueue(held(UniqueFor::Waiting, "6")).await.unwrap(), Enqueued::Created(_)));
    worker.stop().await;
}

#[tokio::test]
async fn a_newer_job_is_put_in_the_place_of_the_one_that_waits() {
    let server = Server::start().await;
    let client = server.client().await;
    let soon = far_away();
    let id = client.enqueue(held(UniqueFor::Replace, "1").run_at(soon)).await.unwrap().id();
    let later = soon + TimeDelta::days(400);
    let answer = client.enqueue(held(UniqueFor::Replace, "2").run_at(later).max_attempts(9)).await.unwrap();
    assert_eq!(answer, Enqueued::Replaced(id));
    let record = client.get(id).await.unwrap().unwrap();
    assert_eq!((record.payload.as_slice(), record.state, record.max_attempts), (&b"2"[..], JobState::Scheduled, 9));
    assert_eq!(record.run_at.timestamp_millis(), later.timestamp_millis());

    // Several in one call, with a mark: the last one counts, and a repeat of it is recognised.
    let mark = IdempotencyKey { key: "k".to_owned(), fingerprint: "f".to_owned() };
    let many =
        vec![held(UniqueFor::Replace, "3").run_at(soon), held(UniqueFor::Replace, "4").idempotency_key(mark.clone())];
    let answers = client.enqueue_many(many).await.unwrap();
    assert_eq!(answers, [Enqueued::Replaced(id), Enqueued::Replaced(id)]);
    let again = client.enqueue(held(UniqueFor::Replace, "5").idempotency_key(mark)).await.unwrap();
    assert_eq!(again, Enqueued::Exists(id));
    let stats = client.queue(&WORK).await.unwrap();
    assert_eq!((stats.available, stats.scheduled), (1, 0), "the last one may run at once");

    let worker = work(&client, config(1), |claimed| async move {
        postrider_queue::Done::with(String::from_utf8(claimed.payload).unwrap()).into()
    });
    let ended = until_state(&client, id, JobState::Completed).await;
    assert_eq!(ended.output, Some("4".into()));
    worker.stop().await;
    assert!(matches!(client.enqueue(held(UniqueFor::Replace, "6")).await.unwrap(), Enqueued::Created(_)));
    let stats = client.queue(&WORK).await.unwrap();
    assert_eq!((stats.available, stats.scheduled, stats.completed), (1, 0, 1));
}

#[tokio::test]
async fn in_one_call_the_last_of_the_same_is_the_job() {
    let server = Server::start().await;
    let client = server.client().await;
    let at = far_away();
    let many =
        vec![held(UniqueFor::Replace, "1"), held(UniqueFor::Replace, "2"), held(UniqueFor::Replace, "3").run_at(at)];
    let answers = client.enqueue_many(many).await.unwrap();
    let id = answers[0].id();
    assert_eq!(answers, [Enqueued::Created(id), Enqueued::Replaced(id), Enqueued::Replaced(id)]);
    let record = client.get(id).await.unwrap().unwrap();
    assert_eq!((record.payload.as_slice(), record.state), (&b"3"[..], JobState::Scheduled));
    assert_eq!((record.unique_for, record.unique_key.unwrap().0.as_str()), (UniqueFor::Replace, "report"));
    let stats = client.queue(&WORK).await.unwrap();
    assert_eq!((stats.available, stats.scheduled), (0, 1));
}

#[tokio::test]
async fn a_key_held_for_a_period_outlives_its_job() {
    let server = Server::start_at("@2026-03-01 12:00:00").await;
    let client = server.client().await;
    let hour = UniqueFor::Period(Duration::from_hours(1));
    let worker = work(&client, config(1), |_| async { done() });
    let id = client.enqueue(held(hour, "1")).await.unwrap().id();
    until_state(&client, id, JobState::Completed).await;
    for other in [hour, UniqueFor::Waiting, UniqueFor::Replace, UniqueFor::WaitingOrRunning] {
        assert_eq!(client.enqueue(held(other, "2")).await.unwrap(), Enqueued::UniqueTaken(id), "{other:?}");
    }
    server.set_clock("@2026-03-01 13:00:01");
    let second = client.enqueue(held(hour, "3")).await.unwrap();
    assert!(matches!(second, Enqueued::Created(_)), "{second:?}");
    until_state(&client, second.id(), JobState::Completed).await;
    // What nobody asks for again is forgotten by the regular upkeep.
    server.set_clock("@2026-03-01 14:00:02");
    let redis = server.redis().await;
    until("the key is forgotten", || async {
        let left: i64 = redis::cmd("HLEN").arg("{pr:0}:1:unique").query_async(&mut redis.clone()).await.unwrap();
        (left == 0).then_some(())
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn a_period_without_a_key_or_an_end_is_refused() {
    let server = Server::start().await;
    let client = server.client().await;
    for wrong in [
        job("acme").unique_for(UniqueFor::Waiting),
        held(UniqueFor::Period(Duration::ZERO), "1"),
        held(UniqueFor::Period(Duration::from_hours(24 * 400)), "1"),
    ] {
        assert!(!client.enqueue(wrong).await.unwrap_err().is_transient());
    }
}

/// What it did before it was cut off nobody knows: a newer one that took its place, and its unit, might send a second time on it.
#[tokio::test]
async fn a_job_whose_run_was_cut_off_is_not_replaced() {
    static RUNS: Semaphore = Semaphore::const_new(0);
    let server = Server::start().await;
    let client = server.client().await;
    let limits = ScopeLimits { in_flight: Some(1), ..ScopeLimits::default() };
    let scope = ScopeKey::parse("number").unwrap();
    client.define_scope(&tenant("acme"), &scope, &limits).await.unwrap();
    let lane = Lane::with_scopes(LaneName::parse("out").unwrap(), vec![scope]);
    let held = |payload| held(UniqueFor::Replace, payload).lane(lane.clone());
    let first = client.enqueue(held("1")).await.unwrap().id();
    let lost = work(&client, config(1), |_| async {
        RUNS.add_permits(1);
        std::future::pending().await
    });
    RUNS.acquire().await.unwrap().forget();
    lost.abort().await;
    until("it is taken back", || async {
        client.tick().await.unwrap();
        client.get(first).await.unwrap().filter(|record| record.state == JobState::Available)
    })
    .await;
    let second = client.enqueue(held("2")).await.unwrap();
    assert!(matches!(second, Enqueued::Created(id) if id != first), "{second:?}");
    assert_eq!(client.enqueue(held("3")).await.unwrap(), Enqueued::Replaced(second.id()));
    let worker = work(&client, config(1), |_| async { done() });
    for id in [first, second.id()] {
        until_state(&client, id, JobState::Completed).await;
    }
    worker.stop().await;
}

#[tokio::test]
async fn the_mark_of_a_request_that_replaced_a_job_ends() {
    let server = Server::start().await;
    let client = server.client().await;
    let mark = IdempotencyKey { key: "put off".to_owned(), fingerprint: "the same".to_owned() };
    client.enqueue(held(UniqueFor::Replace, "1").run_at(far_away())).await.unwrap();
    let request = || held(UniqueFor::Replace, "2").idempotency_key(mark.clone());
    let replaced = client.enqueue(request()).await.unwrap();
    assert!(matches!(replaced, Enqueued::Replaced(_)), "{replaced:?}");
    let mut redis = server.redis().await;
    let ends: i64 = redis::cmd("PTTL").arg("{pr:0}:1:idem:acme:put off").query_async(&mut redis).await.unwrap();
    assert!((86_000_000..=86_400_000).contains(&ends), "a day at least: {ends} ms");
}
