//! What the queue takes when memory runs short or a queue is deep, and that it keeps what it took.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::join_all;
use postrider_queue::{
    DepthLimits, Done, Enqueued, IdempotencyKey, JobId, JobState, NewJob, QueueClient, QueueConfig, QueueError,
    QueueName,
};

use crate::server::{Server, WORK, config, done, job, retry, tenant, until, until_completed, until_state, work};

const PAYLOAD: usize = 8 << 10;

/// A job with a payload of 8 KiB.
fn large(of: &str) -> NewJob {
    NewJob { payload: format!("\"{}\"", "x".repeat(PAYLOAD - 2)).into_bytes(), ..job(of) }
}

/// A server with so much memory, of which an empty one uses about 2 MB.
async fn small() -> Server {
    Server::start_with(&["--maxmemory", "16mb"]).await
}

async fn connect(server: &Server, percent: u8) -> QueueClient {
    QueueClient::connect(QueueConfig::new(server.url()).shards(2).memory_percent(percent)).await.unwrap()
}

/// Enqueues until it is refused; what was taken, and the refusal.
async fn fill(client: &QueueClient, server: &Server) -> (Vec<JobId>, QueueError) {
    let mut taken = Vec::new();
    loop {
        match client.enqueue(large(&format!("t{}", taken.len() % 7))).await {
            Ok(enqueued) => taken.push(enqueued.id()),
            Err(error) => return (taken, error),
        }
        if taken.len() % 8 == 0 {
            client.tick().await.unwrap();
            if in_use(server).await >= 70 {
                tokio::time::sleep(Duration::from_millis(50)).await; // memory is looked at twice a second
            }
        }
        assert!(taken.len() < 10_000, "nothing is ever refused");
    }
}

/// Percent of memory in use.
async fn in_use(server: &Server) -> u64 {
    let info: String = redis::cmd("INFO").arg("memory").query_async(&mut server.redis().await).await.unwrap();
    let figure = |name: &str| -> u64 {
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap().trim().parse().unwrap()
    };
    (figure("used_memory") - figure("mem_not_counted_for_evict")) * 100 / figure("maxmemory")
}

/// Runs everything to its end, each job with a follow-up of the same size, and checks that each job taken ran once.
async fn drain(client: &QueueClient, taken: &[JobId]) {
    let runs: Arc<Mutex<HashMap<JobId, usize>>> = Arc::default();
    let noted = Arc::clone(&runs);
    let worker = work(client, config(16), move |claimed| {
        *noted.lock().unwrap().entry(claimed.id).or_default() += 1;
        let first = claimed.payload.len() > 100;
        let then = NewJob { tenant: claimed.tenant.clone(), ..job("any") };
        async move { if first { Done::empty().then(then).into() } else { done() } }
    });
    until_completed(client, 2 * taken.len() as u64).await;
    worker.stop().await;
    let runs = runs.lock().unwrap();
    for id in taken {
        assert_eq!(runs.get(id), Some(&1), "{id}");
    }
    assert_eq!(runs.len(), 2 * taken.len());
}

#[tokio::test]
async fn above_the_watermark_new_jobs_are_refused_until_it_is_drained() {
    let server = small().await;
    let client = connect(&server, 70).await;
    let (mut taken, refused) = fill(&client, &server).await;
    assert!(matches!(refused, QueueError::Full) && refused.is_transient(), "{refused:?}");
    assert!(refused.retry_after().unwrap() >= Duration::from_secs(1));
    let used = in_use(&server).await;
    assert!((70..100).contains(&used) && taken.len() > 100, "{used} % by {} jobs", taken.len());

    // All shards of the server are closed, in bulk, too, and what it has already is not refused.
    // On a busy machine a shard may have opened since it was looked at: what came in then is taken.
    loop {
        client.tick().await.unwrap();
        let of = |n: u32| tenant(&format!("t{n}"));
        let bulk: Vec<_> = (0..10).map(|n| large(of(n).as_str()).with_id(client.job_id(&of(n)))).collect();
        let ids: Vec<_> = bulk.iter().filter_map(|job| job.id).collect();
        let answer = client.enqueue_many(bulk).await;
        for id in ids {
            taken.extend(client.get(id).await.unwrap().map(|record| record.id));
        }
        match answer {
            Err(QueueError::Full) => break,
            other => drop(other.unwrap()),
        }
        assert!(taken.len() < 10_000, "nothing is refused in bulk");
    }
    let known = large("t0").with_id(taken[0]);
    assert_eq!(client.enqueue(known).await.unwrap(), Enqueued::Exists(taken[0]));
    // What waits can still be moved: cancelled, promoted, retried, and another process may start to drain it.
    drain(&connect(&server, 70).await, &taken).await;
    until("it takes jobs again", || async {
        client.tick().await.unwrap();
        client.enqueue(large("t1")).await.ok()
    })
    .await;
}

#[tokio::test]
async fn when_redis_itself_is_full_the_queue_can_still_be_drained() {
    let server = small().await;
    let client = connect(&server, 100).await;
    let (taken, refused) = fill(&client, &server).await;
    assert!(matches!(refused, QueueError::Full), "{refused:?}");
    assert!(in_use(&server).await >= 99);
    // Nothing is left for ordinary commands.
    let set = redis::cmd("SET").arg("any").arg(1).query_async::<()>(&mut server.redis().await).await;
    assert_eq!(set.unwrap_err().code(), Some("OOM"));
    drain(&connect(&server, 100).await, &taken).await;
    until("it takes jobs again", || async { client.enqueue(large("t1")).await.ok() }).await;
}

#[tokio::test]
async fn a_watermark_that_nobody_renews_ends_by_itself() {
    let server = small().await;
    let client = connect(&server, 1).await;
    until("the watermark is seen", || async {
        client.tick().await.unwrap();
        matches!(client.enqueue(job("acme")).await, Err(QueueError::Full)).then_some(())
    })
    .await;
    until("it is forgotten", || async { client.enqueue(job("acme")).await.ok() }).await;
}

fn deep(limit: u64) -> DepthLimits {
    DepthLimits { every: None, queues: vec![(WORK, limit)] }
}

#[tokio::test]
async fn many_at_once_cannot_exceed_a_depth_limit() {
    let server = Server::start().await;
    let client = server.client().await;
    client.limit_depth(&deep(10)).await.unwrap();
    let others: Vec<QueueClient> = join_all((0..4).map(|_| server.client())).await;
    let all = join_all((0..200).map(|n| {
        let job = job(&format!("t{}", n % 3));
        // Some with a time, which goes another way through the scripts.
        let job = if n % 2 == 0 { job } else { job.unique_key(format!("key {n}")) };
        others[n % 4].enqueue(job)
    }))
    .await;
    let taken = all.iter().filter(|answer| answer.is_ok()).count();
    for refused in all.into_iter().filter_map(Result::err) {
        match refused {
            QueueError::TooDeep { queue, waiting, limit: 10 } => assert!(queue == "work" && waiting <= 10),
            other => panic!("{other:?}"),
        }
    }
    let waiting = client.queue(&WORK).await.unwrap().available;
    assert_eq!(waiting, taken as u64);
    // Calls that were made at the same time share one, which is refused as a whole.
    assert!(waiting <= 10 && waiting > 0, "{waiting}");
}

#[tokio::test]
async fn a_deep_queue_refuses_whole_calls_and_knows_what_it_has() {
    let server = Server::start().await;
    let client = server.client().await;
    client.limit_depth(&deep(5)).await.unwrap();
    let key = || IdempotencyKey { key: "order 7".to_owned(), fingerprint: "f".to_owned() };
    let with_key = NewJob { idempotency_key: Some(key()), ..job("acme") };
    let first = client.enqueue(with_key.clone()).await.unwrap().id();
    let plain = client.enqueue(job("acme")).await.unwrap().id();
    client.enqueue(NewJob { run_at: Some("2099-01-01T00:00:00Z".parse().unwrap()), ..job("acme") }).await.unwrap();
    // Three wait and two more may: three are refused together, before anything is written.
    let refused = client.enqueue_many(vec![job("acme"), job("acme"), job("acme")]).await.unwrap_err();
    assert!(matches!(refused, QueueError::TooDeep { waiting: 3, limit: 5, .. }), "{refused:?}");
    assert_eq!(client.queue(&WORK).await.unwrap().available, 2);
    client.enqueue_many(vec![job("acme"), job("acme")]).await.unwrap();
    assert!(client.enqueue(job("acme")).await.is_err());
    // What it has is told, however deep it is.
    assert_eq!(client.enqueue(with_key).await.unwrap(), Enqueued::Exists(first));
    assert_eq!(client.enqueue(job("acme").with_id(plain)).await.unwrap(), Enqueued::Exists(plain));
    // Other queues are not concerned, and a limit holds as soon as it is set.
    let elsewhere = NewJob { queue: QueueName::new("elsewhere"), ..job("acme") };
    client.enqueue(elsewhere.clone()).await.unwrap();
    client.limit_depth(&DepthLimits { every: Some(1), queues: vec![(WORK, 6)] }).await.unwrap();
    assert!(client.enqueue(elsewhere.clone()).await.is_err());
    client.enqueue(job("acme")).await.unwrap();
    client.limit_depth(&DepthLimits::NONE).await.unwrap();
    client.enqueue_many(vec![elsewhere, job("acme"), job("acme")]).await.unwrap();
}

#[tokio::test]
async fn what_jobs_bring_with_them_comes_in_however_deep_the_queue_is() {
    let server = Server::start().await;
    let client = server.client().await;
    client.limit_depth(&deep(2)).await.unwrap();
    let batch = client.batch_id(&crate::server::tenant("acme"));
    client.open_batch(&crate::server::tenant("acme"), batch, Some(job("acme"))).await.unwrap();
    let first = client.enqueue(job("acme").in_batch(batch)).await.unwrap().id();
    client.seal_batch(&crate::server::tenant("acme"), batch).await.unwrap();
    client.enqueue(job("acme")).await.unwrap();
    client.limit_depth(&deep(0)).await.unwrap();
    let worker = work(&client, config(1), move |claimed| async move {
        match (claimed.id == first, claimed.attempt) {
            (true, 1) => retry(),
            (true, _) => Done::empty().then(job("acme")).then(job("acme")).into(),
            _ => done(),
        }
    });
    until_state(&client, first, JobState::Completed).await;
    until("all five are done", || async { (client.queue(&WORK).await.unwrap().completed == 5).then_some(()) }).await;
    worker.stop().await;
    assert!(matches!(client.enqueue(job("acme")).await, Err(QueueError::TooDeep { waiting: 0, limit: 0, .. })));
}

/// Callers of one moment share a call.
#[tokio::test]
async fn a_queue_that_is_too_deep_refuses_no_job_of_another() {
    let server = Server::start().await;
    let client = server.client().await;
    let deep = QueueName::new("deep");
    client.limit_depth(&DepthLimits { every: None, queues: vec![(deep.clone(), 1)] }).await.unwrap();
    client.enqueue(job("flood").queue(deep.clone())).await.unwrap();
    for _ in 0..50 {
        let calls = (0..8).map(|n| {
            let job = if n % 2 == 0 { job("flood").queue(deep.clone()) } else { job("acme") };
            let client = client.clone();
            async move { (job.queue.clone(), client.enqueue(job).await) }
        });
        for (queue, answer) in futures::future::join_all(calls).await {
            let is_refused = matches!(answer, Err(QueueError::TooDeep { .. }));
            assert_eq!(is_refused, queue == deep, "{queue}: {answer:?}");
        }
    }
}

/// A batch that is open may be sealed: that brings its end nearer.
#[tokio::test]
async fn above_the_watermark_no_batch_is_opened() {
    let server = small().await;
    let client = connect(&server, 1).await;
    let acme = tenant("acme");
    let open = client.batch_id(&acme);
    client.open_batch(&acme, open, Some(job("acme"))).await.unwrap();
    for completion in [None, Some(large("acme"))] {
        until("a new one is refused", || async {
            client.tick().await.unwrap();
            let refused = client.open_batch(&acme, client.batch_id(&acme), completion.clone()).await;
            matches!(refused, Err(QueueError::Full)).then_some(())
        })
        .await;
    }
    client.open_batch(&acme, open, Some(job("acme"))).await.unwrap();
    client.seal_batch(&acme, open).await.unwrap();
    assert!(client.batch(open).await.unwrap().unwrap().ended_at.is_some());
    assert_eq!(client.queue(&WORK).await.unwrap().available, 1, "its completion job was promised");
}

#[tokio::test]
async fn a_full_redis_refuses_new_jobs_and_finishes_old_ones() {
    let server = Server::start().await;
    let client = server.client().await;
    let id = client.enqueue(job("acme")).await.unwrap().id();
    let mut redis = server.redis().await;
    let _: () = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg("1").query_async(&mut redis).await.unwrap();
    let refused = client.enqueue(job("acme")).await.unwrap_err();
    assert!(matches!(refused, QueueError::Full) && refused.is_transient(), "{refused:?}");
    assert!(refused.to_string().contains("`maxmemory`"), "{refused}");
    let worker = work(&client, config(1), |_| async { done() });
    until_state(&client, id, JobState::Completed).await;
    worker.stop().await;
}
