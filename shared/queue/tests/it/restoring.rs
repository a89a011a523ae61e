//! Scopes that are closed give nothing until they were told what the books say.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use postrider_queue::{
    CapSpec, JobState, Lane, LaneName, NewJob, QueueClient, Restored, ScopeKey, ScopeLimits, ScopeState, Window,
};

use crate::server::{Server, WORK, config, done, job, tenant, until, until_parked, until_state, work};

const DAY: Duration = Duration::from_hours(24);

fn scope() -> ScopeKey {
    ScopeKey::parse("number:1").unwrap()
}

fn limited() -> NewJob {
    job("acme").lane(Lane::with_scopes(LaneName::parse("out").unwrap(), vec![scope()]))
}

fn window() -> Window {
    let start: DateTime<Utc> = "2020-01-01T00:00:00Z".parse().unwrap();
    Window { starts_at: start, ends_at: start + TimeDelta::days(36_500), used_before: 0 }
}

fn limits(limit: u64) -> ScopeLimits {
    ScopeLimits::caps(vec![CapSpec::calendar(limit, vec![window()]), CapSpec::moving(limit, DAY)])
}

fn in_window(used: u64) -> Restored {
    Restored::Window { starts_at: window().starts_at, ends_at: window().ends_at, used }
}

async fn state(client: &QueueClient) -> ScopeState {
    client.scope(&tenant("acme"), &scope()).await.unwrap().unwrap()
}

async fn restore(client: &QueueClient, facts: &[Restored]) {
    client.restore_scope(&tenant("acme"), &scope(), facts).await.unwrap();
}

#[tokio::test]
async fn a_closed_scope_gives_nothing_until_it_is_restored_and_opened() {
    let server = Server::start().await;
    let client = server.client().await;
    let (acme, shard) = (tenant("acme"), client.shard_of(&tenant("acme")));
    let defined = client.define_scope(&acme, &scope(), &limits(10)).await.unwrap();
    assert!(defined.fresh && defined.closed.is_none());
    let worker = work(&client, config(4), |_| async { done() });
    let id = client.enqueue(limited()).await.unwrap().id();
    until_state(&client, id, JobState::Completed).await;

    let first = client.close_scopes(shard, "master 2").await.unwrap();
    assert_eq!(client.close_scopes(shard, "master 2").await.unwrap(), first, "the same cause closes once");
    assert_eq!(state(&client).await.closed, Some(first));
    client.enqueue_many((0..20).map(|_| limited()).collect()).await.unwrap();
    until_parked(&client).await;
    assert_eq!(client.queue(&WORK).await.unwrap().completed, 1);

    // A definition does not open it, nor does a restoration that began before it was closed again.
    let defined = client.define_scope(&acme, &scope(), &limits(10)).await.unwrap();
    assert!(!defined.fresh && defined.closed == Some(first));
    let second = client.close_scopes(shard, "master 3").await.unwrap();
    assert!(second > first && !client.open_scope(&acme, &scope(), first).await.unwrap());

    // The books know of six, one of which Redis knows, too.
    let seen = worker_time(&client, id).await;
    let sent = |ago: i64, units| Restored::Sent { at: seen - TimeDelta::milliseconds(ago), units };
    let facts = [in_window(6), sent(0, 1), sent(5, 2), sent(60_000, 2), sent(90_000_000, 9)];
    for _ in 0..2 {
        restore(&client, &facts).await; // a repeat changes nothing
        restore(&client, &[in_window(3), sent(5, 1)]).await; // nor does less
    }
    let used: Vec<u64> = state(&client).await.caps.iter().map(|cap| cap.used).collect();
    assert_eq!(used, [6, 5], "what was sent 25 hours ago has left the moving window");
    assert_eq!(client.queue(&WORK).await.unwrap().completed, 1);
    assert!(client.open_scope(&acme, &scope(), second).await.unwrap());
    until("the rest of the cap is used", || async {
        (client.queue(&WORK).await.unwrap().completed == 5).then_some(())
    })
    .await;
    until_parked(&client).await;
    assert_eq!(client.queue(&WORK).await.unwrap().completed, 5);
    worker.stop().await;
}

/// When the unit of this job was used, as Redis knows it.
async fn worker_time(client: &QueueClient, id: postrider_queue::JobId) -> DateTime<Utc> {
    client.get(id).await.unwrap().unwrap().finished_at.unwrap()
}

#[tokio::test]
async fn a_scope_may_be_closed_and_restored_before_it_is_defined() {
    let server = Server::start().await;
    let client = server.client().await;
    let acme = tenant("acme");
    let closing = client.close_scope(&acme, &scope()).await.unwrap();
    let now = client.get(client.enqueue(limited()).await.unwrap().id()).await.unwrap().unwrap().enqueued_at;
    restore(&client, &[in_window(1), Restored::Sent { at: now, units: 700 }]).await;
    let defined = client.define_scope(&acme, &scope(), &limits(701)).await.unwrap();
    assert_eq!(defined.closed, Some(closing));
    let used: Vec<u64> = state(&client).await.caps.iter().map(|cap| cap.used).collect();
    assert_eq!(used, [1, 700]);
    let worker = work(&client, config(4), |_| async { done() });
    until_parked(&client).await;
    assert!(client.open_scope(&acme, &scope(), closing).await.unwrap());
    until("one runs", || async { (client.queue(&WORK).await.unwrap().completed == 1).then_some(()) }).await;
    client.enqueue(limited()).await.unwrap();
    until_parked(&client).await;
    worker.stop().await;

    // A scope that is first heard of in a shard that was closed is closed, too.
    client.close_scopes(client.shard_of(&acme), "master 2").await.unwrap();
    let other = ScopeKey::parse("number:2").unwrap();
    let defined = client.define_scope(&acme, &other, &limits(1)).await.unwrap();
    assert!(defined.fresh && defined.closed.is_some());
}

#[tokio::test]
async fn units_come_free_as_they_leave_a_moving_window() {
    let server = Server::start_at("@2026-03-01 12:00:00").await;
    let client = server.client().await;
    let limits = |limit| ScopeLimits::caps(vec![CapSpec::moving(limit, DAY)]);
    client.define_scope(&tenant("acme"), &scope(), &limits(3)).await.unwrap();
    let worker = work(&client, config(4), |_| async { done() });
    let completed = || async { client.queue(&WORK).await.unwrap().completed };
    let keep = Duration::from_hours(365 * 24);
    client.enqueue_many((0..2).map(|_| NewJob { keep, ..limited() }).collect()).await.unwrap();
    until("two are done", || async { (completed().await == 2).then_some(()) }).await;
    for (clock, total) in [
        ("@2026-03-01 20:00:00", 3), // the third
        ("@2026-03-02 11:59:50", 3), // still within a day of the first
        ("@2026-03-02 12:00:20", 5), // the first two have left
        ("@2026-03-02 19:59:50", 5),
        ("@2026-03-02 20:00:20", 6), // and the third
    ] {
        server.set_clock(clock);
        if total == 3 && completed().await == 2 {
            client.enqueue_many((0..8).map(|_| NewJob { keep, ..limited() }).collect()).await.unwrap();
        }
        until(&format!("{total} are done at {clock}"), || async { (completed().await == total).then_some(()) }).await;
        until_parked(&client).await;
        assert_eq!(completed().await, total, "at {clock}");
    }
    // Changed live: one more at once, then none although some leave.
    client.define_scope(&tenant("acme"), &scope(), &limits(4)).await.unwrap();
    until("one more is done", || async { (completed().await == 7).then_some(()) }).await;
    client.define_scope(&tenant("acme"), &scope(), &limits(1)).await.unwrap();
    server.set_clock("@2026-03-03 12:00:30");
    until_parked(&client).await;
    assert_eq!(completed().await, 7);
    worker.stop().await;
}

#[tokio::test]
async fn a_scope_that_was_closed_again_is_not_opened_by_an_older_restoration() {
    let server = Server::start().await;
    let client = server.client().await;
    let (acme, shard) = (tenant("acme"), client.shard_of(&tenant("acme")));
    client.define_scope(&acme, &scope(), &limits(10)).await.unwrap();
    let mut closings = vec![client.close_scopes(shard, "master 2").await.unwrap()];
    for _ in 0..2 {
        closings.push(client.close_scope(&acme, &scope()).await.unwrap());
    }
    let newest = closings.pop().unwrap();
    for older in closings {
        assert!(older < newest && !client.open_scope(&acme, &scope(), older).await.unwrap(), "{older:?}");
    }
    assert_eq!(state(&client).await.closed, Some(newest));
    let defined = client.define_scope(&acme, &scope(), &limits(10)).await.unwrap();
    assert_eq!(defined.closed, Some(newest));
    assert!(client.open_scope(&acme, &scope(), newest).await.unwrap());
    assert_eq!(state(&client).await.closed, None);

    // And all of its shard once more.
    client.close_scopes(shard, "master 3").await.unwrap();
    assert!(!client.open_scope(&acme, &scope(), newest).await.unwrap());
    let closed = state(&client).await.closed.unwrap();
    assert!(closed > newest && client.open_scope(&acme, &scope(), closed).await.unwrap());
}

#[tokio::test]
async fn a_window_that_becomes_longer_counts_what_was_known_until_its_end() {
    let server = Server::start_at("@2026-03-01 12:00:00").await;
    let client = server.client().await;
    let moving = |length| ScopeLimits::caps(vec![CapSpec::moving(1, length)]);
    client.define_scope(&tenant("acme"), &scope(), &moving(DAY)).await.unwrap();
    let worker = work(&client, config(4), |_| async { done() });
    let id = client.enqueue(limited()).await.unwrap().id();
    until_state(&client, id, JobState::Completed).await;
    client.define_scope(&tenant("acme"), &scope(), &moving(7 * DAY)).await.unwrap();
    // The cap is full, so nothing is used meanwhile.
    server.set_clock("@2026-03-05 12:00:00");
    assert_eq!(state(&client).await.caps[0].used, 1);
    server.set_clock("@2026-03-08 12:00:20");
    assert_eq!(state(&client).await.caps[0].used, 0);
    worker.stop().await;
}
