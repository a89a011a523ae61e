//! Batches, children, logs, and the history of attempts.

use std::time::Duration;

use postrider_queue::{Cancelled, Done, Enqueued, JobKind, JobState, Lease, NewJob, QueueError, Stop};

use crate::server::{Server, WORK, config, done, job, policy, tenant, until, until_state, work};

fn completion() -> NewJob {
    NewJob { kind: JobKind::new("completion"), ..job("acme") }
}

#[tokio::test]
async fn a_batch_ends_once_however_its_jobs_end() {
    let server = Server::start().await;
    let client = server.client().await;
    let acme = tenant("acme");
    let batch = client.batch_id(&acme);
    let in_batch = |kind: &'static str| NewJob { kind: JobKind::new(kind), ..job("acme").in_batch(batch) };
    assert!(matches!(client.enqueue(in_batch("early")).await.unwrap(), Enqueued::BatchClosed(_)));
    client.open_batch(&acme, batch, Some(completion())).await.unwrap();
    client.open_batch(&acme, batch, Some(completion())).await.unwrap();
    let far = "2100-01-01T00:00:00Z".parse().unwrap();
    let jobs = vec![in_batch("fine"), in_batch("fails"), in_batch("parent"), in_batch("cancelled").run_at(far)];
    let ids: Vec<_> = client.enqueue_many(jobs).await.unwrap().iter().map(Enqueued::id).collect();

    let worker = work(&client, config(4), move |claimed| async move {
        match claimed.kind.as_str() {
            "fails" => Err(Stop::fail("no")),
            "parent" => {
                let child = NewJob { kind: JobKind::new("child"), ..job("acme").in_batch(batch) };
                Done::empty().then(child).into()
            }
            _ => done(),
        }
    });
    until("all but the cancelled one have ended", || async {
        let batch = client.batch(batch).await.unwrap().unwrap();
        (batch.total == 5 && batch.completed == 3 && batch.dead == 1).then_some(())
    })
    .await;
    client.seal_batch(&acme, batch).await.unwrap();
    let standing = client.batch(batch).await.unwrap().unwrap();
    assert!(standing.sealed && standing.ended_at.is_none());
    let last = standing.completion.unwrap();
    assert!(client.get(last).await.unwrap().is_none(), "one job still waits");

    assert_eq!(client.cancel(ids[3]).await.unwrap(), Cancelled::Now);
    let ended = client.batch(batch).await.unwrap().unwrap();
    assert_eq!((ended.total, ended.completed, ended.cancelled, ended.dead), (5, 3, 1, 1));
    assert!(ended.ended_at.is_some());
    let record = until_state(&client, last, JobState::Completed).await;
    assert_eq!((record.kind.as_str(), record.links.completes, record.epoch), ("completion", Some(batch), 1));
    assert!(matches!(client.enqueue(in_batch("late")).await.unwrap(), Enqueued::BatchClosed(_)));

    let children = client.children(ids[2]).await.unwrap();
    assert_eq!(children.len(), 1);
    assert_eq!((children[0].kind.as_str(), children[0].links.parent), ("child", Some(ids[2])));
    assert_eq!(children[0].links.batch, Some(batch));
    worker.stop().await;
}

#[tokio::test]
async fn the_last_job_of_a_sealed_batch_may_add_another() {
    let server = Server::start().await;
    let client = server.client().await;
    let acme = tenant("acme");
    let batch = client.batch_id(&acme);
    client.open_batch(&acme, batch, Some(completion())).await.unwrap();
    let first = client.enqueue(job("acme").in_batch(batch)).await.unwrap().id();
    client.seal_batch(&acme, batch).await.unwrap();
    let worker = work(&client, config(1), move |claimed| async move {
        if claimed.links.batch.is_some() && claimed.links.parent.is_none() {
            Done::empty().then(job("acme").in_batch(batch)).into()
        } else {
            done()
        }
    });
    let ended = until("the batch ends", || async {
        client.batch(batch).await.unwrap().filter(|batch| batch.ended_at.is_some())
    })
    .await;
    assert_eq!((ended.total, ended.completed), (2, 2));
    let child = client.children(first).await.unwrap().pop().unwrap();
    let last = until_state(&client, ended.completion.unwrap(), JobState::Completed).await;
    assert!(last.enqueued_at >= child.finished_at.unwrap());
    worker.stop().await;
}

#[tokio::test]
async fn an_empty_batch_ends_when_it_is_sealed_and_a_strangers_never() {
    let server = Server::start().await;
    let client = server.client().await;
    let acme = tenant("acme");
    let batch = client.derived_batch_id(&acme, &["import", "7"]);
    client.open_batch(&acme, batch, Some(completion())).await.unwrap();
    assert!(client.seal_batch(&tenant("else"), batch).await.is_err());
    assert!(matches!(client.enqueue(job("else").in_batch(batch)).await.unwrap(), Enqueued::BatchClosed(_)));
    for _ in 0..2 {
        client.seal_batch(&acme, batch).await.unwrap();
    }
    let ended = client.batch(batch).await.unwrap().unwrap();
    assert!(ended.ended_at.is_some() && ended.total == 0);
    assert_eq!(client.queue(&WORK).await.unwrap().available, 1, "its completion job, once");
    assert!(client.batch(client.batch_id(&acme)).await.unwrap().is_none());
    assert_eq!(batch.to_string().parse::<postrider_queue::BatchId>().unwrap(), batch);
    assert!("job_000G40R40M30E209185GR38E1W".parse::<postrider_queue::BatchId>().is_err());
}

#[tokio::test]
async fn a_batch_names_the_job_that_holds_the_unique_key_of_its_completion() {
    let server = Server::start().await;
    let client = server.client().await;
    let acme = tenant("acme");
    let report = || completion().unique_key("report");
    let holder = client.enqueue(report()).await.unwrap().id();
    let batch = client.batch_id(&acme);
    client.open_batch(&acme, batch, Some(report())).await.unwrap();
    let meant = client.batch(batch).await.unwrap().unwrap().completion;
    assert!(meant.is_some_and(|id| id != holder));
    for _ in 0..2 {
        client.open_batch(&acme, batch, Some(report())).await.unwrap();
        client.seal_batch(&acme, batch).await.unwrap();
        let ended = client.batch(batch).await.unwrap().unwrap();
        assert_eq!((ended.completion, ended.ended_at.is_some()), (Some(holder), true));
    }
    assert_eq!(client.queue(&WORK).await.unwrap().available, 1);
}

#[tokio::test]
async fn a_batch_survives_the_session_that_ran_its_last_jobs() {
    let server = Server::start().await;
    let client = server.client().await;
    let acme = tenant("acme");
    let batch = client.batch_id(&acme);
    client.open_batch(&acme, batch, Some(completion())).await.unwrap();
    let jobs: Vec<_> = (0..8).map(|_| job("acme").in_batch(batch)).collect();
    let ids: Vec<_> = client.enqueue_many(jobs).await.unwrap().iter().map(Enqueued::id).collect();
    client.seal_batch(&acme, batch).await.unwrap();
    // A worker in a process of its own would be killed here; this one is dropped in mid-run, and one job cancelled meanwhile.
    let first = work(&client, config(8), |_| std::future::pending());
    until_state(&client, ids[7], JobState::Running).await;
    assert_eq!(client.cancel(ids[0]).await.unwrap(), Cancelled::Requested);
    first.abort().await;
    let second = work(&client, config(8), |_| async { done() });
    let last = until("the batch ends", || async {
        client.batch(batch).await.unwrap().filter(|batch| batch.ended_at.is_some())
    })
    .await;
    assert_eq!((last.completed, last.cancelled), (7, 1));
    assert_eq!(until_state(&client, last.completion.unwrap(), JobState::Completed).await.attempt, 1);
    second.stop().await;
}

#[tokio::test]
async fn failed_attempts_are_remembered_with_their_time_and_error() {
    let server = Server::start().await;
    let client = server.client().await;
    let id = client.enqueue(job("acme").max_attempts(15)).await.unwrap().id();
    let worker = work(&client, config(1), |claimed| async move {
        Err(Stop::retry(format!("{} {}", claimed.attempt, "ö".repeat(400))))
    });
    let dead = until_state(&client, id, JobState::Dead).await;
    worker.stop().await;
    assert_eq!(dead.history.len(), 10, "the newest ten of fifteen");
    for (attempt, number) in dead.history.iter().zip(6..) {
        assert!(attempt.error.starts_with(&format!("{number} öö")), "{attempt:?}");
        assert!((290..=300).contains(&attempt.error.len()) && !attempt.error.contains('\u{fffd}'), "{attempt:?}");
        assert!(attempt.started_at >= dead.enqueued_at && attempt.duration < Duration::from_secs(30));
    }
    let letter = client.dead(0, 10).await.unwrap().pop().unwrap();
    assert_eq!(letter.record.history, dead.history);
    assert!(policy("echo").is_some());
}

#[tokio::test]
async fn handlers_write_a_bounded_log_that_goes_with_the_record() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut short = job("acme");
    short.keep = Duration::from_secs(1);
    let id = client.enqueue(short).await.unwrap().id();
    let worker = work(&client, config(1), |claimed| async move {
        let refused = claimed.lease.log(vec!["x"; 65]).await.unwrap_err();
        assert!(matches!(refused, QueueError::Invalid { .. }));
        for part in 0..5 {
            claimed.lease.log((0..50).map(|n| format!("line {}", 50 * part + n))).await.unwrap();
        }
        claimed.lease.log(["ü".repeat(2000)]).await.unwrap();
        done()
    });
    let record = until_state(&client, id, JobState::Completed).await;
    let lines = client.log(id).await.unwrap();
    assert_eq!((record.log_lines, lines.len()), (251, 200));
    assert_eq!((lines[0].text.as_str(), lines[198].text.as_str()), ("line 51", "line 249"));
    assert_eq!(lines[199].text.len(), Lease::MAX_LINE_BYTES);
    assert!(lines[0].at >= record.enqueued_at);
    until("record and log are forgotten", || async {
        (client.get(id).await.unwrap().is_none() && client.log(id).await.unwrap().is_empty()).then_some(())
    })
    .await;
    worker.stop().await;
}

/// They were promised when their batch was closed, or their job was taken: they come without the batch that has ended.
#[tokio::test]
async fn what_jobs_bring_along_comes_although_its_batch_has_ended() {
    let server = Server::start().await;
    let client = server.client().await;
    let acme = tenant("acme");
    let (outer, inner) = (client.batch_id(&acme), client.batch_id(&acme));
    client.open_batch(&acme, outer, None).await.unwrap();
    client.open_batch(&acme, inner, Some(job("acme").in_batch(outer))).await.unwrap();
    let follow_up = client.job_id(&acme);
    let first = client.enqueue(job("acme").in_batch(inner)).await.unwrap().id();
    for batch in [outer, inner] {
        client.seal_batch(&acme, batch).await.unwrap();
    }
    let worker = work(&client, config(1), move |claimed| async move {
        let next = NewJob { payload: b"next".to_vec(), ..job("acme").in_batch(outer).with_id(follow_up) };
        if claimed.id == first { Done::empty().then(next).into() } else { done() }
    });
    let completion = until("the inner one ends", || async {
        client.batch(inner).await.unwrap().filter(|batch| batch.ended_at.is_some())
    });
    let completion = completion.await.completion.unwrap();
    for id in [first, follow_up, completion] {
        until_state(&client, id, JobState::Completed).await;
    }
    assert_eq!(client.batch(outer).await.unwrap().unwrap().total, 0);
    worker.stop().await;
    let late = client.enqueue(job("acme").in_batch(outer)).await.unwrap();
    assert!(matches!(late, Enqueued::BatchClosed(_)), "from outside it is refused: {late:?}");
}
