//! Ids, unique keys and idempotency keys: what may exist twice, and what may not.

use postrider_queue::{Enqueued, IdempotencyKey, JobState};

use crate::server::{Server, config, done, job, tenant, until_state, work};

fn idempotent(key: &str, fingerprint: &str) -> postrider_queue::NewJob {
    job("acme").idempotency_key(IdempotencyKey { key: key.to_owned(), fingerprint: fingerprint.to_owned() })
}

#[tokio::test]
async fn a_given_id_is_created_once() {
    let server = Server::start().await;
    let client = server.client_with(16).await;
    let id = client.derived_job_id(&tenant("acme"), &["order", "7"]);
    assert_eq!(client.enqueue(job("acme").with_id(id)).await.unwrap(), Enqueued::Created(id));
    assert_eq!(client.enqueue(job("acme").with_id(id)).await.unwrap(), Enqueued::Exists(id));
    let twice = vec![job("acme").with_id(id), job("acme"), job("acme").with_id(id)];
    let answers = client.enqueue_many(twice).await.unwrap();
    assert_eq!(answers[0], Enqueued::Exists(id));
    assert!(matches!(answers[1], Enqueued::Created(_)));
    assert_eq!(answers[2], Enqueued::Exists(id));
    let foreign = (0..100).map(|n| tenant(&format!("t{n}"))).find(|t| client.shard_of(t) != id.shard()).unwrap();
    assert!(client.enqueue(job(foreign.as_str()).with_id(id)).await.is_err(), "an id of another shard");
}

#[tokio::test]
async fn a_unique_key_is_held_until_the_job_ends() {
    let server = Server::start().await;
    let client = server.client().await;
    let unique = || job("acme").unique_key("report");
    let answers = client.enqueue_many(vec![unique(), unique()]).await.unwrap();
    let Enqueued::Created(id) = answers[0] else { panic!("{answers:?}") };
    assert_eq!(answers[1], Enqueued::UniqueTaken(id));
    assert_eq!(client.enqueue(unique()).await.unwrap(), Enqueued::UniqueTaken(id));
    let mut other_kind = unique();
    other_kind.kind = postrider_queue::JobKind::new("other");
    assert!(matches!(client.enqueue(other_kind).await.unwrap(), Enqueued::Created(_)));
    let mut other_tenant = unique();
    other_tenant.tenant = tenant("else");
    assert!(matches!(client.enqueue(other_tenant).await.unwrap(), Enqueued::Created(_)));

    client.cancel(id).await.unwrap();
    let Enqueued::Created(second) = client.enqueue(unique()).await.unwrap() else { panic!("freed by the cancel") };
    let worker = work(&client, config(4), |_| async { done() });
    until_state(&client, second, JobState::Completed).await;
    assert!(matches!(client.enqueue(unique()).await.unwrap(), Enqueued::Created(_)), "freed by the completion");
    worker.stop().await;
}

#[tokio::test]
async fn an_idempotency_key_answers_with_the_first_job() {
    let server = Server::start().await;
    let client = server.client().await;
    let Enqueued::Created(id) = client.enqueue(idempotent("k", "a")).await.unwrap() else { panic!() };
    assert_eq!(client.enqueue(idempotent("k", "a")).await.unwrap(), Enqueued::Exists(id));
    assert_eq!(client.enqueue(idempotent("k", "b")).await.unwrap(), Enqueued::IdempotencyConflict(id));
    let batch = vec![idempotent("n", "a"), idempotent("n", "a"), idempotent("n", "b")];
    let answers = client.enqueue_many(batch).await.unwrap();
    assert_eq!(answers[1], Enqueued::Exists(answers[0].id()));
    assert_eq!(answers[2], Enqueued::IdempotencyConflict(answers[0].id()));
}

#[tokio::test]
async fn an_idempotency_key_outlives_a_short_record() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut short = idempotent("k", "a");
    short.keep = std::time::Duration::from_secs(1);
    let worker = work(&client, config(4), |_| async { done() });
    let id = client.enqueue(short.clone()).await.unwrap().id();
    crate::server::until("the record is forgotten", || async { client.get(id).await.unwrap().is_none().then_some(()) })
        .await;
    assert_eq!(client.enqueue(short).await.unwrap(), Enqueued::Exists(id));
    let mut redis = server.redis().await;
    let keys: Vec<String> = redis::cmd("KEYS").arg("*idem*").query_async(&mut redis).await.unwrap();
    let left: i64 = redis::cmd("TTL").arg(&keys[0]).query_async(&mut redis).await.unwrap();
    assert!((86_000..=86_400).contains(&left), "{left} s left");
    worker.stop().await;
}

#[tokio::test]
async fn malformed_jobs_are_refused_before_anything_is_sent() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut large = job("acme");
    large.payload = vec![b'x'; postrider_queue::MAX_PAYLOAD_BYTES + 1];
    let mut none = job("acme");
    none.max_attempts = 0;
    let long = job("acme").unique_key("k".repeat(10_000));
    for wrong in [large, none, long] {
        assert!(!client.enqueue(wrong.clone()).await.unwrap_err().is_transient());
        assert!(client.enqueue_many(vec![job("acme"), wrong]).await.is_err());
    }
    assert_eq!(client.queue(&crate::server::WORK).await.unwrap().available, 0);
    let mut largest = job("acme");
    largest.payload = vec![b'x'; postrider_queue::MAX_PAYLOAD_BYTES];
    let mut empty = job("acme");
    empty.payload = Vec::new();
    for far in ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"] {
        assert!(client.enqueue(job("acme").run_at(far.parse().unwrap())).await.is_ok());
    }
    for fine in [largest, empty] {
        let id = client.enqueue(fine.clone()).await.unwrap().id();
        assert_eq!(client.get(id).await.unwrap().unwrap().payload, fine.payload);
    }
}
