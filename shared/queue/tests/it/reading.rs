//! Lists, follow-ups, progress, waiting, statistics, start-up checks.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures::StreamExt;
use postrider_queue::{
    Done, Enqueued, JobId, JobKind, JobState, Lane, ListFilter, QueueBackend, QueueClient, QueueConfig, QueueError,
};

use crate::server::{PATIENCE, Server, WORK, config, done, job, tenant, until, until_state, work};

#[tokio::test]
async fn a_list_pages_through_a_tenant_newest_first() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut all: Vec<_> =
        client.enqueue_many((0..300).map(|_| job("acme")).collect()).await.unwrap().iter().map(Enqueued::id).collect();
    all.reverse();
    client.enqueue_many((0..10).map(|_| job("other")).collect()).await.unwrap();
    client.cancel(all[7]).await.unwrap();
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = client.list(&tenant("acme"), &ListFilter::default(), cursor, 70).await.unwrap();
        seen.extend(page.items.iter().map(|record| record.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, all);

    // An id that was used twice stands in the index twice; paging still comes to an end.
    let mut redis = server.redis().await;
    let tail = &all[200].as_bytes()[2..];
    let _: () = redis::cmd("LPUSH").arg("{pr:0}:1:index:acme:*").arg(tail).query_async(&mut redis).await.unwrap();
    let (mut pages, mut cursor) = (0, None);
    loop {
        let page = client.list(&tenant("acme"), &ListFilter::default(), cursor, 1).await.unwrap();
        (pages, cursor) = (pages + 1, page.next);
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(pages, 301);
    assert!(client.list(&tenant("acme"), &ListFilter::default(), Some("x.1".into()), 1).await.is_err());
    let _: () = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut redis).await.unwrap();
    let filter =
        |kind: &'static str, state| ListFilter { kind: Some(JobKind::new(kind)), state, ..ListFilter::default() };
    let cancelled = client.list(&tenant("acme"), &filter("echo", Some(JobState::Cancelled)), None, 5).await.unwrap();
    assert_eq!(cancelled.items.iter().map(|record| record.id).collect::<Vec<_>>(), [all[7]]);
    let none = client.list(&tenant("acme"), &filter("nobody", None), None, 5).await.unwrap();
    assert!(none.items.is_empty() && none.next.is_none());
}

#[tokio::test]
async fn records_that_are_asked_for_at_the_same_time_come_together() {
    let server = Server::start().await;
    let client = server.client().await;
    let jobs = (0..200).map(|_| job("acme")).collect();
    let mut ids: Vec<JobId> = client.enqueue_many(jobs).await.unwrap().iter().map(Enqueued::id).collect();
    client.cancel(ids[7]).await.unwrap();
    ids.insert(100, client.job_id(&tenant("acme"))); // there is no such job
    ids.push(ids[0]); // and this one twice
    client.get(ids[1]).await.unwrap();
    let mut redis = server.redis().await;
    redis::cmd("CONFIG").arg("RESETSTAT").exec_async(&mut redis).await.unwrap();
    let mut hung_up = Box::pin(client.get(ids[2]));
    assert!(futures::poll!(&mut hung_up).is_pending());
    drop(hung_up);
    let answers = futures::future::join_all(ids.iter().map(|id| client.get(*id))).await;
    for (place, (id, answer)) in ids.iter().zip(answers).enumerate() {
        let record = answer.unwrap();
        assert_eq!(record.as_ref().map(|record| record.id), (place != 100).then_some(*id));
        assert_eq!(record.is_some_and(|record| record.state == JobState::Cancelled), place == 7);
    }
    let stats: String = redis::cmd("INFO").arg("commandstats").query_async(&mut redis).await.unwrap();
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls=")).unwrap();
    let calls: u32 = calls.split(',').next().unwrap().parse().unwrap();
    // Beside the looks of the client itself.
    assert!(calls < 20, "{calls} calls for 202 records");
}

/// Pages of `limit` until there are no more; `between` runs before each page but the first.
async fn pages(client: &QueueClient, filter: &ListFilter, limit: usize, between: impl AsyncFn()) -> Vec<JobId> {
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = client.list(&tenant("acme"), filter, cursor, limit).await.unwrap();
        assert!(page.items.len() <= limit);
        seen.extend(page.items.iter().map(|record| record.id));
        let Some(next) = page.next else { return seen };
        cursor = Some(next);
        between().await;
    }
}

#[tokio::test]
async fn a_list_keeps_its_place_while_jobs_come_and_old_ones_go() {
    let server = Server::start().await;
    let client = server.client().await;
    let enqueue = async |count: usize| -> Vec<JobId> {
        let jobs = (0..count).map(|_| job("acme")).collect();
        client.enqueue_many(jobs).await.unwrap().iter().map(Enqueued::id).collect()
    };
    let oldest_first = ListFilter { oldest_first: true, ..ListFilter::default() };
    let all = enqueue(300).await;
    assert_eq!(pages(&client, &oldest_first, 70, async || ()).await, all);

    // Newest first, what comes meanwhile is on no later page; oldest first, it is on the last ones.
    let newest_first = ListFilter::default();
    let seen = pages(&client, &newest_first, 70, async || drop(enqueue(3).await)).await;
    assert_eq!(seen, all.iter().rev().copied().collect::<Vec<_>>());
    let added = std::cell::Cell::new(0);
    let some = async || {
        if added.replace(added.get() + 1) < 3 {
            enqueue(5).await;
        }
    };
    let seen = pages(&client, &oldest_first, 100, some).await;
    assert_eq!(seen[..300], all);
    let last = client.list(&tenant("acme"), &newest_first, None, 1).await.unwrap().items[0].id;
    assert_eq!((seen.last(), seen.iter().collect::<HashSet<_>>().len()), (Some(&last), seen.len()));

    // The oldest are cut off between two pages: the next page begins with what is left, and nothing comes twice.
    let page = client.list(&tenant("acme"), &oldest_first, None, 10).await.unwrap();
    let mut redis = server.redis().await;
    let key = "{pr:0}:1:index:acme:*";
    let _: () = redis::cmd("LTRIM").arg(key).arg(0).arg(-51).query_async(&mut redis).await.unwrap();
    let next = client.list(&tenant("acme"), &oldest_first, page.next, 10).await.unwrap();
    assert_eq!(next.items.iter().map(|record| record.id).collect::<Vec<_>>(), all[50..60]);
}

#[tokio::test]
async fn a_list_is_narrowed_by_time_lane_and_batch() {
    let server = Server::start().await;
    let client = server.client().await;
    let batch = client.batch_id(&tenant("acme"));
    client.open_batch(&tenant("acme"), batch, None).await.unwrap();
    let mut ids = Vec::new();
    for number in 0..40 {
        let mut job = job("acme");
        if number % 4 == 0 {
            job.lane = Lane::named("fast".parse().unwrap());
        }
        if number % 10 == 0 {
            job.links.batch = Some(batch);
        }
        ids.push(client.enqueue(job).await.unwrap().id());
        if number == 19 {
            tokio::time::sleep(Duration::from_millis(5)).await; // so that the two halves differ in time
        }
    }
    let middle = client.get(ids[20]).await.unwrap().unwrap().enqueued_at;
    let every = |step: usize| ids.iter().copied().step_by(step).collect::<Vec<_>>();
    let (older, newer) = ids.split_at(20);
    for oldest_first in [true, false] {
        let base = ListFilter { oldest_first, ..ListFilter::default() };
        let cases = [
            (ListFilter { lane: Some("fast".parse().unwrap()), ..base.clone() }, every(4)),
            (ListFilter { batch: Some(batch), ..base.clone() }, every(10)),
            (ListFilter { created_before: Some(middle), ..base.clone() }, older.to_vec()),
            (ListFilter { created_after: Some(middle), ..base.clone() }, newer.to_vec()),
            (ListFilter { created_after: Some(middle), created_before: Some(middle), ..base }, Vec::new()),
        ];
        for (filter, mut expected) in cases {
            if !oldest_first {
                expected.reverse();
            }
            assert_eq!(pages(&client, &filter, 7, async || ()).await, expected, "{filter:?}");
        }
    }
}

#[tokio::test]
async fn follow_ups_are_created_with_the_completion_and_only_once() {
    let server = Server::start().await;
    let client = server.client().await;
    let worker = work(&client, config(4), |claimed| async move {
        if claimed.payload == b"first" {
            let mut second = job("acme");
            second.payload = b"second".to_vec();
            return Ok(Done::with("one").then(second.clone()).then(second));
        }
        if claimed.payload == b"stray" {
            return Ok(Done::empty().then(job("somebody-else")));
        }
        done()
    });
    let mut first = job("acme");
    first.payload = b"first".to_vec();
    let id = client.enqueue(first).await.unwrap().id();
    until("all three are done", || async { (client.queue(&WORK).await.unwrap().completed == 3).then_some(()) }).await;
    assert_eq!(client.get(id).await.unwrap().unwrap().output.unwrap(), "one");
    let mut stray = job("acme");
    stray.payload = b"stray".to_vec();
    let id = client.enqueue(stray).await.unwrap().id();
    let record = until_state(&client, id, JobState::Dead).await;
    assert!(record.error.unwrap().contains("another tenant"));
    worker.stop().await;
}

#[tokio::test]
async fn watching_sees_each_step_to_the_end() {
    let server = Server::start().await;
    let client = server.client().await;
    let id = client.enqueue(job("acme")).await.unwrap().id();
    let mut steps = Box::pin(client.watch(id));
    assert_eq!(steps.next().await.unwrap().state, JobState::Available);
    let (go, gate) = tokio::sync::watch::channel(false);
    let worker = work(&client, config(4), move |claimed| {
        let mut gate = gate.clone();
        async move {
            claimed.lease.progress(serde_json::json!(1)).await.unwrap();
            let _ = gate.wait_for(|open| *open).await;
            done()
        }
    });
    let mut states = Vec::new();
    while let Some(record) = steps.next().await {
        if record.progress.is_some() && record.state == JobState::Running {
            go.send(true).unwrap();
        }
        states.push(record.state);
    }
    assert_eq!(states.last(), Some(&JobState::Completed));
    assert!(states.contains(&JobState::Running));
    let again: Vec<_> = client.watch(id).collect().await;
    assert_eq!(again.len(), 1, "an ended job is told once");
    assert!(client.wait(client.job_id(&tenant("acme")), PATIENCE).await.unwrap().is_none());
    worker.stop().await;
}

#[tokio::test]
async fn waiting_ends_with_the_job_or_with_the_time() {
    let server = Server::start().await;
    let client = server.client().await;
    let id = client.enqueue(job("acme")).await.unwrap().id();
    let started = std::time::Instant::now();
    let record = client.wait(id, Duration::from_millis(50)).await.unwrap().unwrap();
    assert_eq!(record.state, JobState::Available);
    assert!(started.elapsed() >= Duration::from_millis(50));
    let waiting = client.wait(id, PATIENCE);
    let working = async {
        let worker = work(&client, config(1), |_| async { done() });
        until_state(&client, id, JobState::Completed).await;
        worker.stop().await;
    };
    let (record, ()) = tokio::join!(waiting, working);
    assert_eq!(record.unwrap().unwrap().state, JobState::Completed);
    assert!(started.elapsed() < Duration::from_secs(2), "told by a message, not by reading again");
}

#[tokio::test]
async fn an_idle_queue_starts_a_job_in_milliseconds() {
    let server = Server::start().await;
    let client = server.client_with(16).await;
    let (told, mut started) = tokio::sync::mpsc::unbounded_channel();
    let worker = work(&client, config(4), move |claimed| {
        let _ = told.send(claimed.id);
        async { done() }
    });
    let mut latencies = Vec::new();
    for n in 0..50 {
        let id = client.enqueue(job(&format!("t{n}"))).await.unwrap().id();
        let sent = std::time::Instant::now();
        assert_eq!(started.recv().await, Some(id));
        latencies.push(sent.elapsed());
        until_state(&client, id, JobState::Completed).await;
    }
    latencies.sort_unstable();
    assert!(latencies[25] < Duration::from_millis(50), "median {:?}: it was polled for", latencies[25]);
    worker.stop().await;
}

#[tokio::test]
async fn a_paused_queue_gives_nothing_until_it_is_resumed() {
    let server = Server::start().await;
    let client = server.client_with(4).await;
    client.pause(&WORK).await.unwrap();
    let id = client.enqueue(job("acme")).await.unwrap().id();
    let worker = work(&client, config(4), |_| async { done() });
    let mut other = job("acme");
    other.queue = postrider_queue::QueueName::new("elsewhere");
    client.enqueue(other).await.unwrap();
    let record = client.wait(id, Duration::from_millis(700)).await.unwrap().unwrap();
    assert_eq!(record.state, JobState::Available);
    let stats = client.queue(&WORK).await.unwrap();
    assert!(stats.paused && stats.available == 1 && stats.oldest_age.unwrap() >= Duration::from_millis(600));
    assert_eq!(client.queues().await.unwrap().len(), 2);
    client.resume(&WORK).await.unwrap();
    until_state(&client, id, JobState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_kind_that_nobody_knows_waits_for_a_newer_worker() {
    let server = Server::start().await;
    let client = server.client().await;
    let backend = QueueBackend::new(&client, config(4), Arc::new(|_: &str| None));
    let id = client.enqueue(job("acme")).await.unwrap().id();
    let record = until_state(&client, id, JobState::Scheduled).await;
    assert_eq!((record.attempt, record.snoozes), (0, 0));
    assert!(record.error.unwrap().contains("echo"));
    backend.handle().close(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn unreadable_records_are_buried_and_harm_nobody() {
    let server = Server::start().await;
    let client = server.client().await;
    let id = client.enqueue(job("acme")).await.unwrap().id();
    let good = client.enqueue(job("acme")).await.unwrap().id();
    let mut redis = server.redis().await;
    let _: () = redis::cmd("HDEL").arg("{pr:0}:1:kinds").arg(1).query_async(&mut redis).await.unwrap();
    let worker = work(&client, config(4), |_| async { done() });
    until("both are buried", || async { (client.queue(&WORK).await.unwrap().dead == 2).then_some(()) }).await;
    let _: () = redis::cmd("HSET").arg("{pr:0}:1:kinds").arg(1).arg("echo").query_async(&mut redis).await.unwrap();
    for id in [id, good] {
        assert!(client.get(id).await.unwrap().unwrap().error.unwrap().starts_with("unreadable"));
    }
    let next = client.enqueue(job("acme")).await.unwrap().id();
    until_state(&client, next, JobState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_redis_that_would_lose_jobs_is_refused_by_name() {
    let server = Server::start().await;
    let mut redis = server.redis().await;
    for (setting, bad, good) in [
        ("maxmemory-policy", "allkeys-lru", "noeviction"),
        ("maxmemory", "0", "1000000000"),
        ("appendonly", "no", "yes"),
    ] {
        let set = |value: &str| redis::cmd("CONFIG").arg("SET").arg(setting).arg(value).to_owned();
        let _: () = set(bad).query_async(&mut redis).await.unwrap();
        match QueueClient::connect(QueueConfig::new(server.url())).await.map(drop) {
            Err(error @ QueueError::Setting { setting: named, .. }) => {
                assert_eq!(named, setting);
                let words = error.to_string();
                assert!(words.contains(&server.port.to_string()) && words.contains("REDIS_URL"), "{words}");
            }
            other => panic!("{other:?}"),
        }
        let _: () = set(good).query_async(&mut redis).await.unwrap();
    }
    server.client_with(8).await;
    let other = QueueClient::connect(QueueConfig::new(server.url()).shards(4)).await.map(drop);
    assert!(matches!(other, Err(QueueError::Shards { recorded: 8, configured: 4 })), "{other:?}");
    assert!(other.unwrap_err().to_string().contains("QUEUE_SHARDS"));
    let _: () = redis::cmd("HSET").arg("{pr:0}:1:meta").arg("protocol").arg(9).query_async(&mut redis).await.unwrap();
    let other = QueueClient::connect(QueueConfig::new(server.url()).shards(8)).await.map(drop);
    assert!(matches!(other, Err(QueueError::Protocol { .. })), "{other:?}");
    // A newer version has keys of its own and leaves this sign.
    let _: () = redis::cmd("HSET").arg("{pr:0}:1:meta").arg("protocol").arg(1).query_async(&mut redis).await.unwrap();
    let _: () = redis::cmd("SET").arg("{pr:0}:protocol").arg(2).query_async(&mut redis).await.unwrap();
    let other = QueueClient::connect(QueueConfig::new(server.url()).shards(8)).await.map(drop).unwrap_err();
    assert!(other.to_string().contains("protocol version 2, but this program speaks 1"), "{other}");
    let nobody = QueueClient::connect(QueueConfig::new("redis://127.0.0.1:1")).await.map(drop);
    assert!(nobody.unwrap_err().is_transient());
    assert!(QueueClient::connect(QueueConfig::new("http://example.com")).await.is_err());
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

/// In both orders, with 9,000 others that come and end meanwhile, which is as many as a list reaches back to.
#[tokio::test]
async fn a_walk_sees_each_job_that_stays_once_while_thousands_come_and_end() {
    let server = Server::start().await;
    let client = server.client().await;
    let enqueue = async |client: &QueueClient, many: usize| -> Vec<JobId> {
        let jobs = (0..many).map(|_| job("acme")).collect();
        client.enqueue_many(jobs).await.unwrap().iter().map(Enqueued::id).collect()
    };
    let (mut staying, mut others) = (Vec::new(), Vec::new());
    for _ in 0..90 {
        staying.extend(enqueue(&client, 10).await);
        others.extend(enqueue(&client, 33).await);
    }
    let mut churn = tokio::task::JoinSet::new();
    churn.spawn({
        let client = client.clone();
        async move {
            for _ in 0..60 {
                let ended = others.drain(..others.len().min(49)).collect::<Vec<_>>();
                for id in ended.into_iter().chain(enqueue(&client, 100).await) {
                    client.cancel(id).await.unwrap();
                }
            }
        }
    });
    let mut walks = 0;
    let mut last = false;
    // At least one walk in each order while it goes on, and one in each after it.
    while !last || walks % 2 != 0 {
        if let Some(ended) = churn.try_join_next() {
            ended.unwrap();
        }
        last = churn.is_empty();
        let filter = ListFilter { oldest_first: walks % 2 == 1, ..ListFilter::default() };
        let seen = pages(&client, &filter, 40, async || ()).await;
        let mut once = HashSet::new();
        assert!(seen.iter().all(|id| once.insert(*id)), "a job came twice");
        let missing = staying.iter().filter(|id| !once.contains(id)).count();
        assert_eq!(missing, 0, "walk {walks}: {missing} of {} are missing", staying.len());
        walks += 1;
    }
}
