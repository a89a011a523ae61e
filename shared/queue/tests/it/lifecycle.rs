//! A job's ways through its states, one picture of the whole queue after each step.

use std::{sync::Arc, time::Duration};

use insta::assert_snapshot;
use postrider_queue::{Cancelled, Claimed, Done, JobState, Promoted, Stop};
use tokio::sync::{Semaphore, mpsc};

use crate::{
    picture::Picture,
    server::{Server, config, job, until, until_state, work},
};

/// A worker whose handlers wait for their outcome from the test.
fn conducted(
    client: &postrider_queue::QueueClient,
) -> (crate::server::Worker, mpsc::UnboundedReceiver<(Claimed, tokio::sync::oneshot::Sender<postrider_queue::Outcome>)>)
{
    let (sender, receiver) = mpsc::unbounded_channel();
    let worker = work(client, config(8), move |claimed| {
        let sender = sender.clone();
        async move {
            let (answer, outcome) = tokio::sync::oneshot::channel();
            let _ = sender.send((claimed, answer));
            outcome.await.unwrap_or(Err(Stop::Cancelled))
        }
    });
    (worker, receiver)
}

#[tokio::test]
async fn states_follow_the_outcomes() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut picture = Picture::of(&client);
    let now = chrono::DateTime::from_timestamp(4_000_000_000, 0).unwrap();

    picture.name("now", client.enqueue(job("acme")).await.unwrap().id());
    let later = client.enqueue(job("acme").run_at(now)).await.unwrap().id();
    picture.name("later", later);
    assert_snapshot!("enqueued", picture.take().await);

    let (worker, mut claims) = conducted(&client);
    let (claimed, answer) = claims.recv().await.unwrap();
    assert_snapshot!("claimed", picture.take().await);

    claimed.lease.progress(serde_json::json!({ "half": true })).await.unwrap();
    assert_snapshot!("progress", picture.take().await);

    answer.send(Ok(Done::with(42))).unwrap();
    until_state(&client, claimed.id, JobState::Completed).await;
    assert_snapshot!("completed", picture.take().await);

    assert_eq!(client.promote(later).await.unwrap(), Promoted::Now);
    let (claimed, answer) = claims.recv().await.unwrap();
    assert_eq!(claimed.id, later);
    answer.send(Err(Stop::retry_after("it rains", Duration::from_hours(1)))).unwrap();
    until_state(&client, later, JobState::Retryable).await;
    assert_snapshot!("retryable", picture.take().await);

    client.promote(later).await.unwrap();
    let (_, answer) = claims.recv().await.unwrap();
    answer.send(Err(Stop::snooze(now, "closed today"))).unwrap();
    until_state(&client, later, JobState::Scheduled).await;
    assert_snapshot!("snoozed", picture.take().await);

    client.promote(later).await.unwrap();
    let (_, answer) = claims.recv().await.unwrap();
    answer.send(Err(Stop::fail("no such street"))).unwrap();
    until_state(&client, later, JobState::Dead).await;
    assert_snapshot!("dead", picture.take().await);

    let letters = client.dead(0, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].record.id, letters[0].error.as_str()), (later, "no such street"));
    client.dead_archived(&[(later, letters[0].death_number + 1)]).await.unwrap();
    assert_eq!(client.dead(0, 10).await.unwrap().len(), 1, "another death is not archived");
    client.dead_archived(&[(later, letters[0].death_number)]).await.unwrap();
    client.dead_archived(&[(later, letters[0].death_number)]).await.unwrap();
    assert!(client.dead(0, 10).await.unwrap().is_empty());
    assert_snapshot!("archived", picture.take().await);
    worker.stop().await;
}

#[tokio::test]
async fn the_last_attempt_buries() {
    let server = Server::start().await;
    let client = server.client().await;
    let worker = work(&client, config(4), |_| async { crate::server::retry() });
    let id = client.enqueue(job("acme").max_attempts(3)).await.unwrap().id();
    let record = until_state(&client, id, JobState::Dead).await;
    assert_eq!((record.attempt, record.epoch), (3, 3));
    assert_eq!(record.error.as_deref(), Some("not today"));
    assert!(!record.payload.is_empty(), "a dead letter keeps what a redrive needs");
    worker.stop().await;
}

#[tokio::test]
async fn putting_off_has_an_end() {
    let server = Server::start().await;
    let client = server.client().await;
    let past = chrono::DateTime::from_timestamp(1, 0).unwrap();
    let worker = work(&client, config(4), move |_| async move { Err(Stop::snooze(past, "not yet")) });
    let id = client.enqueue(job("acme")).await.unwrap().id();
    let record = until_state(&client, id, JobState::Dead).await;
    assert_eq!((record.snoozes, record.epoch, record.attempt), (2, 3, 1));
    worker.stop().await;
}

#[tokio::test]
async fn cancel_stops_waiting_and_running_jobs() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut picture = Picture::of(&client);
    let waiting = picture.name("waiting", client.enqueue(job("acme")).await.unwrap().id());
    let far = chrono::DateTime::from_timestamp(4_000_000_000, 0).unwrap();
    let delayed = picture.name("delayed", client.enqueue(job("acme").run_at(far)).await.unwrap().id());
    assert_eq!(client.cancel(waiting).await.unwrap(), Cancelled::Now);
    assert_eq!(client.cancel(delayed).await.unwrap(), Cancelled::Now);
    assert_eq!(client.cancel(waiting).await.unwrap(), Cancelled::AlreadyFinished(JobState::Cancelled));
    assert_eq!(client.cancel(client.job_id(&crate::server::tenant("acme"))).await.unwrap(), Cancelled::NotFound);

    let running = picture.name("running", client.enqueue(job("acme")).await.unwrap().id());
    let started = Arc::new(Semaphore::new(0));
    let told = Arc::clone(&started);
    let worker = work(&client, config(4), move |claimed| {
        let told = Arc::clone(&told);
        async move {
            told.add_permits(1);
            match claimed.lease.lost_or_cancelled().await {
                postrider_queue::Interrupt::Cancelled => Err(Stop::Cancelled),
                postrider_queue::Interrupt::Lost => panic!("the lease is held"),
            }
        }
    });
    let _ = started.acquire().await.unwrap();
    let asked = std::time::Instant::now();
    assert_eq!(client.cancel(running).await.unwrap(), Cancelled::Requested);
    until_state(&client, running, JobState::Cancelled).await;
    assert!(asked.elapsed() < Duration::from_millis(500), "told at once, not at the next heartbeat");
    assert_snapshot!("cancelled", picture.take().await);
    assert_eq!(started.available_permits(), 1, "the cancelled one that waited never ran");
    worker.stop().await;
}

#[tokio::test]
async fn finished_records_are_forgotten_in_time() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut short = job("acme");
    short.keep = Duration::from_secs(1);
    let worker = work(&client, config(4), |_| async { crate::server::done() });
    let id = client.enqueue(short).await.unwrap().id();
    let kept = client.enqueue(job("acme")).await.unwrap().id();
    until_state(&client, kept, JobState::Completed).await;
    until("the record is forgotten", || async { client.get(id).await.unwrap().is_none().then_some(()) }).await;
    assert!(client.get(kept).await.unwrap().is_some());
    assert_eq!(client.queue(&crate::server::WORK).await.unwrap().completed, 1);
    worker.stop().await;
}

#[tokio::test]
async fn jobs_of_a_lane_that_start_and_end_together_keep_their_own_times() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut enqueued = Vec::new();
    while enqueued.len() < 3 {
        let id = client.enqueue(job("acme")).await.unwrap().id();
        let record = client.get(id).await.unwrap().unwrap();
        if enqueued.last().is_none_or(|(_, at)| record.enqueued_at > *at) {
            enqueued.push((id, record.enqueued_at));
        } else {
            client.cancel(id).await.unwrap();
        }
    }

    let (worker, mut claims) = conducted(&client);
    let mut answers = Vec::new();
    for _ in &enqueued {
        answers.push(claims.recv().await.unwrap());
    }
    for (id, at) in &enqueued {
        let record = client.get(*id).await.unwrap().unwrap();
        assert_eq!((record.state, record.enqueued_at), (JobState::Running, *at));
    }
    for (_, answer) in answers {
        answer.send(Ok(Done::empty())).unwrap();
    }
    for (id, at) in enqueued {
        until_state(&client, id, JobState::Completed).await;
        assert_eq!(client.get(id).await.unwrap().unwrap().enqueued_at, at);
    }
    worker.stop().await;
}
