//! What is done after a replica became the master: it may lack what its master was told last.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use postrider_queue::{
    CapSpec, Closing, Enqueued, JobId, JobState, Lane, LaneName, NewJob, QueueClient, Restored, ScopeKey, ScopeLimits,
    ScopeState, Window,
};

use crate::server::{Server, WORK, config, done, job, tenant, until, until_state, work};

/// Makes the server a replica of nobody and a master again: with all it has, but under another replication id, like a replica
/// that was promoted.
pub(crate) async fn take_over(server: &Server) {
    let mut redis = server.redis().await;
    for (host, port) in [("127.0.0.1", "1"), ("NO", "ONE")] {
        let _: () = redis::cmd("REPLICAOF").arg(host).arg(port).query_async(&mut redis).await.unwrap();
    }
}

fn scope() -> ScopeKey {
    ScopeKey::parse("mailbox:a@b").unwrap()
}

fn limited() -> NewJob {
    job("acme").lane(Lane::with_scopes(LaneName::parse("out").unwrap(), vec![scope()]))
}

fn window() -> Window {
    let start: DateTime<Utc> = "2020-01-01T00:00:00Z".parse().unwrap();
    Window { starts_at: start, ends_at: start + TimeDelta::days(36_500), used_before: 0 }
}

fn limits() -> ScopeLimits {
    ScopeLimits::caps(vec![CapSpec::calendar(10, vec![window()])])
}

async fn state(client: &QueueClient) -> ScopeState {
    client.scope(&tenant("acme"), &scope()).await.unwrap().unwrap()
}

/// Tells what the books say, and opens the scope.
async fn restore(client: &QueueClient, used: u64, after: Closing) -> bool {
    let Window { starts_at, ends_at, .. } = window();
    client.restore_scope(&tenant("acme"), &scope(), &[Restored::Window { starts_at, ends_at, used }]).await.unwrap();
    client.open_scope(&tenant("acme"), &scope(), after).await.unwrap()
}

#[tokio::test]
async fn a_cap_is_closed_after_a_change_of_master_until_its_counters_are_restored() {
    let server = Server::start().await;
    let client = server.client().await;
    let worker = work(&client, config(4), |_| async { done() });
    client.define_scope(&tenant("acme"), &scope(), &limits()).await.unwrap();
    for _ in 0..3 {
        let id = client.enqueue(limited()).await.unwrap().id();
        until_state(&client, id, JobState::Completed).await;
    }
    assert_eq!((state(&client).await.closed, state(&client).await.caps[0].used), (None, 3));

    take_over(&server).await;
    let id = client.enqueue(limited()).await.unwrap().id();
    until("its lane is parked", || async { (client.queue(&WORK).await.unwrap().parked_lanes == 1).then_some(()) })
        .await;
    let closed = state(&client).await;
    assert_eq!(closed.reserved, 0);
    let closing = closed.closed.expect("it is closed");
    // A new definition opens nothing.
    let defined = client.define_scope(&tenant("acme"), &scope(), &limits()).await.unwrap();
    assert_eq!((defined.fresh, defined.closed), (false, Some(closing)));
    // Other lanes go on, also those of a scope that has no caps.
    let fast = ScopeKey::parse("number:1").unwrap();
    client.define_scope(&tenant("acme"), &fast, &ScopeLimits::default()).await.unwrap();
    let lane = Lane::with_scopes(LaneName::parse("fast").unwrap(), vec![fast]);
    for free in [job("acme"), job("acme").lane(lane)] {
        let free = client.enqueue(free).await.unwrap().id();
        until_state(&client, free, JobState::Completed).await;
    }
    assert_eq!(client.get(id).await.unwrap().unwrap().state, JobState::Available);

    // Another change while the books are read: they may be older than it.
    take_over(&server).await;
    assert!(!restore(&client, 4, closing).await);
    let closing = state(&client).await.closed.expect("it is closed again");
    // The books know of more than Redis was told.
    assert!(restore(&client, 5, closing).await);
    until_state(&client, id, JobState::Completed).await;
    assert_eq!((state(&client).await.closed, state(&client).await.caps[0].used), (None, 6));
    worker.stop().await;
}

#[tokio::test]
async fn each_change_of_master_closes_once_and_a_restart_does_not() {
    let mut server = Server::start().await;
    let client = server.client().await;
    client.define_scope(&tenant("acme"), &scope(), &limits()).await.unwrap();
    for round in 1..=3 {
        take_over(&server).await;
        let closing = state(&client).await.closed.expect("it is closed");
        client.tick().await.unwrap();
        assert_eq!((state(&client).await.closed, client.closings().await.unwrap()), (Some(closing), round));
        assert!(restore(&client, 0, closing).await);
        assert!(state(&client).await.closed.is_none());
    }
    // What was opened is open, and what was not stays closed, also across a restart. A killed process loses nothing that it
    // wrote, only a machine does.
    let other = ScopeKey::parse("mailbox:c@d").unwrap();
    client.define_scope(&tenant("acme"), &other, &limits()).await.unwrap();
    let last = client.enqueue(job("acme")).await.unwrap().id();
    server.kill();
    server.up().await;
    until("the restarted server answers", || async { client.get(last).await.ok().flatten() }).await;
    for _ in 0..2 {
        assert!(state(&client).await.closed.is_none());
        assert!(client.scope(&tenant("acme"), &other).await.unwrap().unwrap().closed.is_some());
        assert_eq!(client.closings().await.unwrap(), 3);
        client.tick().await.unwrap();
    }
}

#[tokio::test]
async fn jobs_of_which_the_new_master_never_heard_are_brought_again() {
    let server = Server::start().await;
    let client = server.client().await;
    let acme = tenant("acme");
    let early = client.enqueue(job("acme")).await.unwrap().id();
    let batch = client.batch_id(&acme);
    client.open_batch(&acme, batch, Some(job("acme"))).await.unwrap();
    let many = client.enqueue_many((0..300).map(|_| job("acme").in_batch(batch)).collect()).await.unwrap();
    client.seal_batch(&acme, batch).await.unwrap();
    let late = futures::future::join_all((0..20).map(|_| client.enqueue(job("acme")))).await;

    // Everything but the shard's own facts is lost.
    let mut redis = server.redis().await;
    let (meta, flush) = (redis::cmd("DUMP").arg("{pr:0}:1:meta").to_owned(), redis::cmd("FLUSHALL"));
    let facts: Vec<u8> = meta.query_async(&mut redis).await.unwrap();
    let _: () = flush.query_async(&mut redis).await.unwrap();
    let restore = redis::cmd("RESTORE").arg("{pr:0}:1:meta").arg(0).arg(facts).to_owned();
    let _: () = restore.query_async(&mut redis).await.unwrap();
    take_over(&server).await;

    until("all of them are back", || async { (client.queue(&WORK).await.unwrap().available == 321).then_some(()) })
        .await;
    let ids =
        many.iter().map(Enqueued::id).chain(late.iter().map(|answer| answer.as_ref().unwrap().id())).chain([early]);
    for id in ids {
        assert!(client.get(id).await.unwrap().is_some(), "{id}");
    }
    let worker = work(&client, config(32), |_| async { done() });
    let ended = until("the batch ends", || async {
        client.batch(batch).await.unwrap().filter(|batch| batch.ended_at.is_some())
    })
    .await;
    assert_eq!((ended.total, ended.completed), (300, 300));
    until_state(&client, ended.completion.unwrap(), JobState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn what_the_new_master_knows_of_does_not_run_again() {
    let server = Server::start().await;
    let client = server.client().await;
    let runs = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&runs);
    let worker = work(&client, config(8), move |_| {
        let runs = Arc::clone(&counted);
        async move {
            runs.fetch_add(1, Ordering::SeqCst);
            done()
        }
    });
    for _ in 0..20 {
        let id = client.enqueue(job("acme")).await.unwrap().id();
        until_state(&client, id, JobState::Completed).await;
    }
    // Its record expires before the change.
    let brief = NewJob { keep: Duration::from_secs(1), ..job("acme") };
    let id = client.enqueue(brief).await.unwrap().id();
    until("its record is pruned", || async { client.get(id).await.unwrap().is_none().then_some(()) }).await;

    let far = job("acme").run_at("2100-01-01T00:00:00Z".parse().unwrap()).with_id(JobId::random(0));
    let far = client.enqueue(far).await.unwrap().id();
    // The one of which the new master knows nothing shows when the others were brought, too.
    let forget = redis::cmd("HDEL").arg("{pr:0}:1:jobs").arg(&far.as_bytes()[2..]).to_owned();
    let _: () = forget.query_async(&mut server.redis().await).await.unwrap();
    take_over(&server).await;
    until("the lost one is back", || async { client.get(far).await.unwrap() }).await;
    let last = client.enqueue(job("acme")).await.unwrap().id();
    until_state(&client, last, JobState::Completed).await;
    assert_eq!(runs.load(Ordering::SeqCst), 22);
    assert!(client.get(id).await.unwrap().is_none());
    worker.stop().await;
}
