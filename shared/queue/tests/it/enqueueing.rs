//! Group commit: calls made at the same time travel together, and nobody waits for somebody who gave up.

use std::{collections::BTreeSet, time::Duration};

use futures::{FutureExt, future};
use postrider_queue::{
    DepthLimits, Done, Enqueued, IdempotencyKey, JobKind, JobState, ListFilter, NewJob, QueueClient, QueueConfig,
    QueueError,
};

use crate::{
    proxy::Proxy,
    server::{Server, WORK, config, done, job, tenant, until_state, work},
};

#[tokio::test]
async fn answers_come_in_order_whatever_the_jobs_have_in_common() {
    let server = Server::start().await;
    let client = server.client().await;
    let known = client.enqueue(job("acme").with_id(client.job_id(&tenant("acme")))).await.unwrap().id();
    let mut jobs = Vec::new();
    for place in 0..40 {
        let mut one = job(["acme", "else"][place % 2]);
        one.kind = [JobKind::new("one"), JobKind::new("two"), JobKind::new("three")][place % 3].clone();
        one.payload = place.to_string().into_bytes();
        jobs.push(one);
    }
    jobs[7] = job("acme").with_id(known);
    let answers = client.enqueue_many(jobs.clone()).await.unwrap();
    for (place, answer) in answers.iter().enumerate() {
        if place == 7 {
            assert_eq!(*answer, Enqueued::Exists(known));
            continue;
        }
        let Enqueued::Created(id) = *answer else { panic!("{place}: {answer:?}") };
        let record = client.get(id).await.unwrap().unwrap();
        assert_eq!(record.payload, place.to_string().into_bytes());
        assert_eq!((&record.kind, &record.tenant), (&jobs[place].kind, &jobs[place].tenant));
    }
    // Each stands once in the lists of its tenant, of all kinds and of its own.
    for name in ["acme", "else"] {
        let mine = |kind: Option<&JobKind>| {
            let answers = answers.iter().zip(&jobs).filter(|(_, job)| job.tenant == tenant(name));
            let of_kind = answers.filter(|(_, job)| kind.is_none_or(|kind| job.kind == *kind));
            of_kind.map(|(answer, _)| answer.id()).collect::<BTreeSet<_>>()
        };
        for kind in [None, Some(JobKind::new("one")), Some(JobKind::new("two")), Some(JobKind::new("three"))] {
            let expected = mine(kind.as_ref());
            let filter = ListFilter { kind, ..ListFilter::default() };
            let listed = client.list(&tenant(name), &filter, None, 100).await.unwrap().items;
            assert_eq!(listed.len(), expected.len(), "{name} {filter:?}");
            assert_eq!(listed.iter().map(|record| record.id).collect::<BTreeSet<_>>(), expected);
        }
    }
}

#[tokio::test]
async fn concurrent_calls_share_round_trips() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut redis = server.redis().await;
    let _: () = redis::cmd("CONFIG").arg("RESETSTAT").query_async(&mut redis).await.unwrap();
    let answers = future::join_all((0..1000).map(|_| client.enqueue(job("acme")))).await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok(Enqueued::Created(_)))));
    let stats: String = redis::cmd("INFO").arg("commandstats").query_async(&mut redis).await.unwrap();
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls=")).unwrap();
    let calls: u32 = calls.split(',').next().unwrap().parse().unwrap();
    assert!(calls < 20, "{calls} calls for 1,000 jobs");
}

async fn calls(redis: &mut redis::aio::MultiplexedConnection, command: &str) -> u32 {
    let stats: String = redis::cmd("INFO").arg("commandstats").query_async(redis).await.unwrap();
    let calls = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls="))).unwrap_or("0,");
    calls.split(',').next().unwrap().parse().unwrap()
}

/// What stands in the only lane, in its order.
async fn standing(redis: &mut redis::aio::MultiplexedConnection) -> Vec<Vec<u8>> {
    redis::cmd("LRANGE").arg("{pr:0}:1:lane:1").arg(0).arg(-1).query_async(redis).await.unwrap()
}

#[tokio::test]
async fn bulk_calls_are_carried_out_two_at_a_time_in_their_order() {
    const JOBS: usize = 5 * 256;
    let server = Server::start().await;
    let client = QueueClient::connect(QueueConfig::new(server.url()).shards(1)).await.unwrap();
    let mut redis = server.redis().await;
    let mut expected = 0;
    for flushed in [false, true] {
        if flushed {
            let _: () = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut redis).await.unwrap();
        }
        let _: () = redis::cmd("CONFIG").arg("RESETSTAT").query_async(&mut redis).await.unwrap();
        let answers = client.enqueue_many((0..JOBS).map(|_| job("acme")).collect()).await.unwrap();
        assert!(answers.iter().all(|answer| matches!(answer, Enqueued::Created(_))));
        if !flushed {
            assert_eq!((calls(&mut redis, "evalsha").await, calls(&mut redis, "exec").await), (5, 2));
        }
        let ids: Vec<_> = answers.iter().map(Enqueued::id).collect();
        let order = standing(&mut redis).await.split_off(expected);
        assert!(order.len() == JOBS && order.iter().zip(&ids).all(|(tail, id)| id.as_bytes().ends_with(tail)));
        expected += JOBS;
    }
}

#[tokio::test]
async fn bulk_calls_whose_answers_are_lost_are_made_once() {
    const JOBS: usize = 1_500;
    let server = Server::start().await;
    let proxy = Proxy::before(&server).await;
    let client = QueueClient::connect(QueueConfig::new(proxy.url.clone()).shards(1)).await.unwrap();
    for round in 1..=5 {
        proxy.lose_answers(1); // carried out all the same
        let answers = client.enqueue_many((0..JOBS).map(|_| job("acme")).collect()).await.unwrap();
        assert!(answers.iter().all(|answer| matches!(answer, Enqueued::Created(_))), "{round}");
        assert_eq!((proxy.lost(), client.queue(&WORK).await.unwrap().available), (round, (round * JOBS) as u64));
    }
}

#[tokio::test]
async fn a_bulk_call_that_is_refused_does_not_spoil_the_one_beside_it() {
    let server = Server::start().await;
    let client = QueueClient::connect(QueueConfig::new(server.url()).shards(1)).await.unwrap();
    client.limit_depth(&DepthLimits { every: None, queues: vec![(WORK, 300)] }).await.unwrap();
    let answers = client.enqueue_each((0..512).map(|_| job("acme")).collect()).await.unwrap();
    let (taken, refused) = answers.split_at(256);
    assert!(taken.iter().all(|answer| matches!(answer, Ok(Enqueued::Created(_)))));
    assert!(refused.iter().all(|answer| matches!(answer, Err(QueueError::TooDeep { waiting: 256, limit: 300, .. }))));
    assert_eq!(client.queue(&WORK).await.unwrap().available, 256);
}

#[tokio::test]
async fn nobody_waits_for_a_caller_who_gave_up() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut leader = Box::pin(client.enqueue(job("acme")));
    assert!(leader.as_mut().now_or_never().is_none(), "its call is on the way");
    let mut behind = Box::pin(client.enqueue(job("acme")));
    assert!(behind.as_mut().now_or_never().is_none());
    drop(leader);
    let answer = tokio::time::timeout(Duration::from_secs(2), behind).await.expect("it goes on").unwrap();
    assert!(matches!(answer, Enqueued::Created(_)));
}

#[tokio::test]
async fn an_enqueue_whose_connection_breaks_is_made_once() {
    let server = Server::start().await;
    let proxy = Proxy::before(&server).await;
    let client = QueueClient::connect(QueueConfig::new(proxy.url.clone()).shards(1)).await.unwrap();
    for number in 0..40 {
        if number % 4 == 3 {
            proxy.lose_answers(1); // carried out all the same
        }
        let answer = client.enqueue(job("acme")).await.unwrap();
        assert!(matches!(answer, Enqueued::Created(_)), "{number}: {answer:?}");
    }
    assert_eq!(proxy.lost(), 10);
    assert_eq!(client.queue(&WORK).await.unwrap().available, 40);
}

#[tokio::test]
async fn a_caller_who_gives_up_spoils_no_answer() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut redis = server.redis().await;
    for number in 0..100 {
        let given_up = client.enqueue(job("acme"));
        if number % 3 == 0 {
            let _: () =
                redis::cmd("CLIENT").arg("PAUSE").arg(10_000).arg("WRITE").query_async(&mut redis).await.unwrap();
            assert!(given_up.now_or_never().is_none(), "its call is on the way");
            let _: () = redis::cmd("CLIENT").arg("UNPAUSE").query_async(&mut redis).await.unwrap();
        }
        let id = client.job_id(&tenant("acme"));
        assert_eq!(client.enqueue(job("acme").with_id(id)).await.unwrap(), Enqueued::Created(id));
        assert_eq!(client.enqueue(job("acme").with_id(id)).await.unwrap(), Enqueued::Exists(id));
    }
}

/// Records name their kind by a number of two bytes.
#[tokio::test]
async fn a_kind_for_which_no_number_is_left_is_refused() {
    let server = Server::start().await;
    let client = server.client().await;
    client.enqueue(job("acme")).await.unwrap();
    let mut redis = server.redis().await;
    let _: i64 = redis::cmd("HSET").arg("{pr:0}:1:meta").arg(&["kind", "65534"]).query_async(&mut redis).await.unwrap();
    let of_kind = |kind: &'static str| NewJob { kind: JobKind::new(kind), ..job("acme") };
    let last = client.enqueue(of_kind("last")).await.unwrap().id();
    assert_eq!(client.get(last).await.unwrap().unwrap().kind.as_str(), "last");

    let acme = tenant("acme");
    let batch = client.batch_id(&acme);
    let refusals = [
        client.enqueue(of_kind("plain")).await.map(drop),
        client.enqueue(of_kind("keyed").unique_key("key")).await.map(drop),
        client.open_batch(&acme, batch, Some(of_kind("completion"))).await,
    ];
    for refused in refusals.map(Result::unwrap_err) {
        assert!(!refused.is_transient() && refused.to_string().contains("65,535 kinds"), "{refused}");
    }
    assert_eq!(client.queue(&WORK).await.unwrap().available, 2, "nothing of them was written");
    assert!(client.batch(batch).await.unwrap().is_none());
    let lanes: u64 = redis::cmd("HLEN").arg("{pr:0}:1:lanes").query_async(&mut redis).await.unwrap();
    assert_eq!(lanes, 1);
    client.open_batch(&acme, batch, Some(of_kind("last"))).await.unwrap();
    client.enqueue_many(vec![of_kind("last").unique_key("key"), of_kind("echo")]).await.unwrap();
}

#[tokio::test]
async fn a_job_that_is_refused_takes_none_along_that_shared_its_call() {
    let server = Server::start().await;
    let client = server.client().await;
    // What stands under this key is none of ours.
    let _: i64 = redis::cmd("RPUSH")
        .arg(&["{pr:0}:1:idem:acme:odd", "something"])
        .query_async(&mut server.redis().await)
        .await
        .unwrap();
    client.enqueue(job("acme")).await.unwrap();
    let is_refused = |number: usize| number % 10 == 7;
    let enqueues = (0..60).map(|number| {
        let key = if is_refused(number) { "odd".to_owned() } else { number.to_string() };
        let idempotency_key = Some(IdempotencyKey { key, fingerprint: String::new() });
        client.enqueue(NewJob { idempotency_key, ..job("acme") })
    });
    for (number, answer) in futures::future::join_all(enqueues).await.into_iter().enumerate() {
        assert_eq!(answer.is_err(), is_refused(number), "{number}: {answer:?}");
    }
    assert_eq!(client.queue(&WORK).await.unwrap().available, 1 + 54);
}

#[tokio::test]
async fn who_enqueues_at_the_same_moment_is_not_refused_with_it() {
    let server = Server::start().await;
    let client = server.client().await;
    client.enqueue(job("acme")).await.unwrap();
    let mut redis = server.redis().await;
    let _: i64 = redis::cmd("HSET").arg("{pr:0}:1:meta").arg(&["kind", "65534"]).query_async(&mut redis).await.unwrap();
    let kinds = ["echo", "last", "echo", "new.one", "echo", "new.two", "last", "new.one", "echo"];
    for key in [false, true] {
        let calls = kinds.iter().enumerate().map(|(place, kind)| {
            let job = NewJob { kind: JobKind::new(kind), ..job("acme") };
            client.enqueue(if key { job.unique_key(place.to_string()) } else { job })
        });
        let mut calls = future::join_all(calls);
        let _: () = redis::cmd("CLIENT").arg("PAUSE").arg(10_000).arg("WRITE").query_async(&mut redis).await.unwrap();
        assert!((&mut calls).now_or_never().is_none(), "one is on the way, and the others wait for it");
        let _: () = redis::cmd("CLIENT").arg("UNPAUSE").query_async(&mut redis).await.unwrap();
        let answers: Vec<_> = kinds.iter().zip(calls.await).collect();
        let (refused, taken): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(kind, _)| kind.starts_with("new"));
        for (kind, answer) in taken {
            assert!(matches!(answer, Ok(Enqueued::Created(_))), "{kind}: {answer:?}");
        }
        for (kind, answer) in refused {
            let Err(QueueError::Invalid { what: "job kind", reason }) = answer else { panic!("{kind}: {answer:?}") };
            assert!(reason.contains(kind), "{kind}: {reason}");
        }
    }
    assert_eq!(client.queue(&WORK).await.unwrap().available, 13);
}

#[tokio::test]
async fn a_job_that_brings_along_one_of_such_a_kind_dies_and_harms_no_other() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut redis = server.redis().await;
    let of_kind = |kind: &'static str| NewJob { kind: JobKind::new(kind), ..job("acme") };
    let kinds = ["plain", "to a known one", "to a new one", "to both"];
    let jobs = kinds.map(|payload| NewJob { payload: format!("\"{payload}\"").into_bytes(), ..of_kind("echo") });
    let jobs = [jobs.to_vec(), vec![of_kind("known")]].concat();
    let ids: Vec<_> = client.enqueue_many(jobs).await.unwrap().iter().map(Enqueued::id).collect();
    let _: i64 = redis::cmd("HSET").arg("{pr:0}:1:meta").arg(&["kind", "65535"]).query_async(&mut redis).await.unwrap();

    // All end at the same time, in one turn.
    let together = std::sync::Arc::new(tokio::sync::Barrier::new(kinds.len()));
    let worker = work(&client, config(8), move |claimed| {
        let together = std::sync::Arc::clone(&together);
        async move {
            if claimed.kind.as_str() == "known" {
                return done();
            }
            let says = |word: &str| String::from_utf8_lossy(&claimed.payload).contains(word);
            let mut outcome = Done::with("an output");
            if says("known") || says("both") {
                outcome = outcome.then(NewJob { kind: JobKind::new("known"), ..job("acme") });
            }
            if says("new") || says("both") {
                outcome = outcome.then(NewJob { kind: JobKind::new("unheard_of"), ..job("acme") });
            }
            together.wait().await;
            outcome.into()
        }
    });
    for id in [ids[0], ids[1], ids[4]] {
        until_state(&client, id, JobState::Completed).await;
    }
    for id in &ids[2..4] {
        let error = until_state(&client, *id, JobState::Dead).await.error.unwrap();
        assert!(error.contains("unheard_of") && error.contains("65,535 kinds"), "{error}");
        assert!(client.children(*id).await.unwrap().is_empty(), "both or neither");
    }
    let child = client.children(ids[1]).await.unwrap().remove(0);
    assert_eq!(child.kind.as_str(), "known");
    until_state(&client, child.id, JobState::Completed).await;
    let next = client.enqueue(of_kind("known")).await.unwrap().id();
    until_state(&client, next, JobState::Completed).await;
    worker.stop().await;
}
