//! Lists of a tenant's jobs: every page in its place, whatever comes and goes meanwhile.

use std::{collections::HashSet, time::Duration};

use postrider_queue::{Enqueued, JobId, JobKind, JobState, Lane, ListFilter, QueueClient};

use crate::server::{Server, WORK, config, done, job, tenant, until, until_parked, work};

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

#[tokio::test]
async fn what_waits_for_months_stays_in_the_list() {
    let server = Server::start_at("@2026-03-01 08:00:00").await;
    let client = server.client().await;
    client.pause_lane(&tenant("acme"), &WORK, &Lane::default()).await.unwrap();
    let waiting: Vec<JobId> =
        client.enqueue_many(vec![job("acme"); 3]).await.unwrap().iter().map(Enqueued::id).rev().collect();
    let worker = work(&client, config(4), |_| async { done() });
    until_parked(&client).await;
    worker.stop().await;
    client.cancel(waiting[2]).await.unwrap();
    let ends = async || {
        let mut ends = redis::cmd("EXPIRETIME");
        ends.arg("{pr:0}:1:index:acme:*").query_async::<i64>(&mut server.redis().await).await.unwrap()
    };
    for day in ["@2026-03-21 08:00:00", "@2026-04-10 08:00:00", "@2026-04-30 08:00:00"] {
        let before = ends().await;
        server.set_clock(day);
        until("the list is looked after", || async {
            client.tick().await.unwrap();
            (ends().await > before).then_some(())
        })
        .await;
    }
    for kind in [None, Some(JobKind::new("echo"))] {
        let filter = ListFilter { kind, state: Some(JobState::Available), ..ListFilter::default() };
        let listed = client.list(&tenant("acme"), &filter, None, 10).await.unwrap().items;
        assert_eq!(listed.iter().map(|record| record.id).collect::<Vec<_>>(), waiting[..2]);
    }
}
