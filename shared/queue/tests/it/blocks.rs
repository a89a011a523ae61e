//! Jobs in blocks: whoever gives the ids, all find them, and nothing is left of a block when its last record goes.

use std::{collections::HashSet, time::Duration};

use postrider_queue::{Enqueued, ForgetPlace, JobId, JobState, ListFilter, NewJob, QueueClient, QueueConfig, Walk};

use crate::server::{Server, config, done, job, tenant, until, work};

const MANY: usize = 9_000;

async fn connect(server: &Server) -> QueueClient {
    QueueClient::connect(QueueConfig::new(server.url()).shards(1)).await.unwrap()
}

/// What programs of the version before this one look at when they start: they speak 1.
async fn protocols(server: &Server) -> [String; 2] {
    let mut redis = server.redis().await;
    let meta = redis::cmd("HGET").arg("{pr:0}:1:meta").arg("protocol").query_async(&mut redis).await.unwrap();
    [meta, redis::cmd("GET").arg("{pr:0}:protocol").query_async(&mut redis).await.unwrap()]
}

/// Data of the version before this one.
async fn older(server: &Server) {
    let mut meta = redis::cmd("HSET");
    meta.arg("{pr:0}:1:meta").arg("protocol").arg(1).arg("shards").arg(1);
    meta.exec_async(&mut server.redis().await).await.unwrap();
}

async fn homes(server: &Server) -> Vec<String> {
    redis::cmd("KEYS").arg("{pr:0}:1:jobs*").query_async(&mut server.redis().await).await.unwrap()
}

async fn noted(server: &Server) -> usize {
    redis::cmd("ZCARD").arg("{pr:0}:1:blocks").query_async(&mut server.redis().await).await.unwrap()
}

async fn enqueue(client: &QueueClient, jobs: Vec<NewJob>) -> Vec<JobId> {
    let answers = client.enqueue_many(jobs).await.unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Enqueued::Created(_))));
    answers.iter().map(Enqueued::id).collect()
}

async fn waiting(client: &QueueClient) -> HashSet<JobId> {
    let (mut seen, mut walk) = (HashSet::new(), Some(Walk::default()));
    while let Some(from) = walk {
        let (found, next) = client.waiting(&tenant("acme"), &ListFilter::default(), &from).await.unwrap();
        seen.extend(found.into_iter().map(|record| record.id));
        walk = next;
    }
    seen
}

#[tokio::test]
async fn data_of_the_version_before_stays_so_until_it_is_raised() {
    let server = Server::start().await;
    older(&server).await;
    let client = connect(&server).await;
    assert_eq!(protocols(&server).await, ["1", "1"]);
    enqueue(&client, vec![job("acme"); 3]).await;
    assert_eq!(noted(&server).await, 0, "in blocks, the version before would not find them");
    assert!(connect(&server).await.raise_protocol().await.unwrap());
    assert_eq!(protocols(&server).await, ["2", "2"]);
    enqueue(&client, vec![job("acme"); 3]).await;
    assert_eq!(noted(&server).await, 0, "from the next start on");
    let next = connect(&server).await;
    assert!(!next.raise_protocol().await.unwrap());
    enqueue(&next, vec![job("acme"); 3]).await;
    assert_eq!(noted(&server).await, 1);

    let new = Server::start().await;
    enqueue(&connect(&new).await, vec![job("acme"); 3]).await;
    assert_eq!((protocols(&new).await, noted(&new).await), (["2".to_owned(), "2".to_owned()], 1));
}

/// Whoever starts next must not take it for a new one: programs that do not know its protocol may be at work.
#[tokio::test]
async fn an_empty_server_in_the_place_of_another_is_of_the_protocol_that_was_there() {
    let server = Server::start().await;
    let mut redis = server.redis().await;
    older(&server).await;
    let client = connect(&server).await;
    redis::cmd("FLUSHALL").exec_async(&mut redis).await.unwrap();
    client.tick().await.unwrap();
    enqueue(&connect(&server).await, vec![job("acme"); 3]).await;
    assert_eq!((protocols(&server).await, noted(&server).await), (["1".to_owned(), "1".to_owned()], 0));

    // Only programs of the version before are at work: they say nothing.
    for trace in [["HSET", "{pr:0}:1:meta", "tick", "1"], ["ZADD", "{pr:0}:1:sessions", "1", "a session"]] {
        redis::cmd("FLUSHALL").exec_async(&mut redis).await.unwrap();
        redis::cmd(trace[0]).arg(&trace[1..]).exec_async(&mut redis).await.unwrap();
        let next = connect(&server).await;
        enqueue(&next, vec![job("acme"); 3]).await;
        assert_eq!((protocols(&server).await, noted(&server).await), (["1".to_owned(), "1".to_owned()], 0));
    }

    // Who put jobs into blocks does so again, and has the version before kept out again.
    connect(&server).await.raise_protocol().await.unwrap();
    let with = connect(&server).await;
    for first in [None, Some("1")] {
        redis::cmd("FLUSHALL").exec_async(&mut redis).await.unwrap();
        if first.is_some() {
            older(&server).await;
        }
        with.tick().await.unwrap();
        assert_eq!(protocols(&server).await, ["2", "2"]);
    }
}

#[tokio::test]
async fn jobs_with_and_without_blocks_go_side_by_side() {
    let server = Server::start().await;
    older(&server).await;
    let without = connect(&server).await;
    connect(&server).await.raise_protocol().await.unwrap();
    let with = connect(&server).await;
    let short = |keep| NewJob { keep: Duration::from_secs(keep), ..job("acme") };
    let mut ids = enqueue(&with, vec![short(1); MANY]).await;
    assert_eq!((homes(&server).await.len(), noted(&server).await), (3, 3), "9,000 in blocks of 4,096");
    ids.extend(enqueue(&without, vec![short(1); 100]).await);
    ids.push(with.enqueue(short(3_600)).await.unwrap().id());
    for id in ids.iter().step_by(1_000) {
        assert_eq!(with.enqueue(short(1).with_id(*id)).await.unwrap(), Enqueued::Exists(*id));
    }
    let all: HashSet<JobId> = ids.iter().copied().collect();
    assert_eq!(waiting(&with).await, all);

    let worker = work(&without, config(256), |_| async { done() });
    until("all are done", || async {
        let stats = with.queue(&crate::server::WORK).await.unwrap();
        (stats.available + stats.running == 0).then_some(())
    })
    .await;
    worker.stop().await;
    let last = with.get(*ids.last().unwrap()).await.unwrap().unwrap();
    assert_eq!(last.state, JobState::Completed);
    until("what was not to be kept is gone", || async {
        with.tick().await.unwrap();
        (noted(&server).await == 1 && homes(&server).await.len() == 1).then_some(())
    })
    .await;
    assert_eq!(with.get(last.id).await.unwrap().unwrap().id, last.id);
}

#[tokio::test]
async fn a_tenant_is_forgotten_in_all_blocks() {
    let server = Server::start().await;
    let client = connect(&server).await;
    enqueue(&client, vec![job("acme"); MANY]).await;
    let other = enqueue(&client, vec![job("other"); 3]).await;
    client.pause_tenant(&tenant("acme")).await.unwrap();
    let (mut place, mut removed) = (Some(ForgetPlace::default()), 0);
    while let Some(at) = place {
        let step = client.forget_tenant(&tenant("acme"), &at).await.unwrap();
        (place, removed) = (step.next, removed + step.removed);
    }
    assert!(removed >= MANY as u64, "{removed}");
    assert!(waiting(&client).await.is_empty());
    assert_eq!((homes(&server).await.len(), noted(&server).await), (1, 1));
    for id in other {
        assert!(client.get(id).await.unwrap().is_some());
    }
}
