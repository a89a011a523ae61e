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

/// Its answer was lost, and much happened before the caller came again.
#[tokio::test]
async fn a_repeated_replacement_is_the_same_job() {
    let server = Server::start().await;
    let client = server.client().await;
    let first = client.enqueue(held(UniqueFor::Replace, "1").run_at(far_away())).await.unwrap().id();
    let repeated = held(UniqueFor::Replace, "2").run_at(far_away()).with_id(client.job_id(&tenant("acme")));
    for payload in [b"2", b"3"] {
        assert_eq!(client.enqueue(repeated.clone()).await.unwrap(), Enqueued::Replaced(first));
        let record = client.get(first).await.unwrap().unwrap();
        assert_eq!(record.payload, payload, "a newer one is not undone");
        client.enqueue(held(UniqueFor::Replace, "3").run_at(far_away())).await.unwrap();
    }
    client.promote(first).await.unwrap();
    let worker = work(&client, config(1), |_| async { done() });
    until_state(&client, first, JobState::Completed).await;
    worker.stop().await;
    assert_eq!(client.enqueue(repeated.clone()).await.unwrap(), Enqueued::Replaced(first));
    let stats = client.queue(&WORK).await.unwrap();
    assert_eq!((stats.available, stats.scheduled, stats.completed), (0, 0, 1), "nothing runs twice");

    // Two of one call, of which the second took the place of the first.
    let of_one_call = [held(UniqueFor::Replace, "4"), held(UniqueFor::Replace, "5")]
        .map(|job| job.with_id(client.job_id(&tenant("acme"))))
        .to_vec();
    let id = client.enqueue_many(of_one_call.clone()).await.unwrap()[0].id();
    assert_eq!(client.cancel(id).await.unwrap(), postrider_queue::Cancelled::Now);
    let again = client.enqueue_many(of_one_call).await.unwrap();
    assert_eq!(again, [Enqueued::Exists(id), Enqueued::Replaced(id)]);
    assert_eq!(client.queue(&WORK).await.unwrap().available, 0);
}

#[tokio::test]
async fn a_repeated_replacement_with_an_idempotency_key_gets_the_first_answer() {
    let server = Server::start().await;
    let client = server.client().await;
    let mark = IdempotencyKey { key: "put off".to_owned(), fingerprint: "the same".to_owned() };
    let first = client.enqueue(held(UniqueFor::Replace, "1").run_at(far_away())).await.unwrap().id();
    let request = || held(UniqueFor::Replace, "2").run_at(far_away()).idempotency_key(mark.clone());
    let repeated = request().with_id(client.job_id(&tenant("acme")));
    for _ in 0..2 {
        assert_eq!(client.enqueue(repeated.clone()).await.unwrap(), Enqueued::Replaced(first));
    }
    assert_eq!(client.enqueue(request()).await.unwrap(), Enqueued::Exists(first), "another request with the same key");
}

#[tokio::test]
async fn what_is_noted_of_replacements_is_bounded_and_ends() {
    let server = Server::start().await;
    let client = server.client().await;
    for _ in 0..2 {
        let many = (0..400).map(|n| held(UniqueFor::Replace, &n.to_string())).collect();
        client.enqueue_many(many).await.unwrap();
    }
    let mut redis = server.redis().await;
    let key = "{pr:0}:1:replaced:acme:echo\0report";
    let noted: i64 = redis::cmd("LLEN").arg(key).query_async(&mut redis).await.unwrap();
    assert_eq!(noted, 2 * 128);
    let ends: i64 = redis::cmd("PTTL").arg(key).query_async(&mut redis).await.unwrap();
    assert!((3_500_000..=3_600_000).contains(&ends), "{ends} ms");
}

#[tokio::test]
async fn a_job_that_is_put_off_again_and_again_takes_no_more_room() {
    let server = Server::start_at("@2026-03-01 12:00:00").await;
    let client = server.client().await;
    let start: DateTime<Utc> = "2026-03-01T12:00:00Z".parse().unwrap();
    let put_off = async |by: TimeDelta| client.enqueue(held(UniqueFor::Replace, "1").run_at(start + by)).await.unwrap();
    let id = put_off(TimeDelta::hours(3)).await.id();
    for minutes in 0..60 {
        put_off(TimeDelta::days(7) + TimeDelta::minutes(minutes)).await;
    }
    for minutes in 0..60 {
        let all = [TimeDelta::days(40), TimeDelta::hours(5), TimeDelta::days(400), TimeDelta::hours(1)];
        for by in all {
            put_off(by + TimeDelta::minutes(minutes % 50)).await;
        }
    }
    let last = TimeDelta::hours(26);
    assert_eq!(put_off(last).await, Enqueued::Replaced(id));
    let mut redis = server.redis().await;
    let lists: Vec<String> = redis::cmd("KEYS").arg("{pr:0}:1:later:*").query_async(&mut redis).await.unwrap();
    let mut ids = 0;
    for list in lists {
        ids += redis::cmd("LLEN").arg(list).query_async::<i64>(&mut redis).await.unwrap();
    }
    assert!(ids <= 4, "{ids} entries of one job");

    // And it runs at its time.
    let worker = work(&client, config(1), |_| async { done() });
    for by in [TimeDelta::hours(5), last - TimeDelta::seconds(3)] {
        server.set_clock(&format!("@{}", (start + by).format("%Y-%m-%d %H:%M:%S")));
        let opened = (start + by).timestamp_millis();
        until("what is due is opened", || async {
            let due: i64 = redis::cmd("ZCOUNT")
                .arg("{pr:0}:1:later")
                .arg(0)
                .arg(opened)
                .query_async(&mut redis.clone())
                .await
                .unwrap();
            (due == 0).then_some(())
        })
        .await;
        assert_eq!(client.get(id).await.unwrap().unwrap().state, JobState::Scheduled);
    }
    let record = until_state(&client, id, JobState::Completed).await;
    assert!(record.started_at.unwrap() >= start + last, "{record:?}");
    worker.stop().await;
}

#[tokio::test]
async fn a_job_that_is_put_off_for_long_stays_in_the_lists() {
    let server = Server::start_at("@2026-03-01 12:00:00").await;
    let client = server.client().await;
    let start: DateTime<Utc> = "2026-03-01T12:00:00Z".parse().unwrap();
    let parent = client.enqueue(job("acme")).await.unwrap().id();
    let first = held(UniqueFor::Replace, "1").child_of(parent).run_at(start + TimeDelta::hours(3));
    let id = client.enqueue(first).await.unwrap().id();
    client.enqueue(held(UniqueFor::Replace, "2").run_at(start + TimeDelta::days(200))).await.unwrap();
    server.set_clock("@2026-08-01 12:00:00");
    for kind in [None, Some(postrider_queue::JobKind::new("echo"))] {
        let filter = postrider_queue::ListFilter { kind, ..postrider_queue::ListFilter::default() };
        let page = client.list(&tenant("acme"), &filter, None, 10).await.unwrap();
        assert!(page.items.iter().any(|record| record.id == id), "{page:?}");
    }
    assert_eq!(client.children(parent).await.unwrap().len(), 1);
}
