//! Caps of recipients: newcomers wait for a place, those who are known go on, and a place is free again when the window says so.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use postrider_queue::{
    Cancelled, CapSpec, CapUse, Done, JobState, Lane, LaneName, NewJob, QueueClient, RecipientKey, Restored,
    ScopeLimits, Window,
};
use tokio::sync::Semaphore;

use super::{DAY, define, enqueue, scope, state, to, unique, until_completed, until_waiting};
use crate::server::{Server, WORK, Worker, config, done, tenant, until, until_state, work};

/// A worker whose jobs end when the gate lets them through, and then tell what became of their unit.
fn gated(client: &QueueClient, used: CapUse) -> (Worker, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let worker = work(client, config(8), move |_| {
        let gate = Arc::clone(&opened);
        async move {
            gate.acquire().await.unwrap().forget();
            Ok(Done::empty().cap(used))
        }
    });
    (worker, gate)
}

#[tokio::test]
async fn new_recipients_wait_for_a_full_cap_while_known_ones_go_on() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, unique(2)).await;
    let (worker, gate) = gated(&client, CapUse::NotUsed);
    let ids = enqueue(&client, vec![to("a", 1), to("b", 1), to("c", 1), to("d", 1), to("c", 2), to("a", 2)]).await;
    until_waiting(&client, 2).await;
    let stats = client.queue(&WORK).await.unwrap();
    assert_eq!((stats.running, stats.available, stats.stepped_aside), (3, 3, 3));
    until_state(&client, ids[5], JobState::Running).await;

    // One that waits is cancelled; the place of two goes to whoever is next, once both jobs of `a` or that of `b` have ended.
    assert_eq!(client.cancel(ids[2]).await.unwrap(), Cancelled::Now);
    gate.add_permits(3);
    until_state(&client, ids[4], JobState::Running).await;
    until_state(&client, ids[3], JobState::Running).await;
    let seen = state(&client).await;
    assert_eq!((seen.waiting_recipients, seen.reserved, seen.caps[0].used), (0, 2, 0));
    gate.add_permits(2);
    until_completed(&client, 5).await;
    assert_eq!(client.queue(&WORK).await.unwrap().stepped_aside, 0);
    worker.stop().await;
}

#[tokio::test]
async fn hundreds_of_new_recipients_do_not_keep_a_known_one_and_none_is_lost() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, unique(1)).await;
    let worker = work(&client, config(8), |_| async { done() });
    let known = enqueue(&client, vec![to("known", 1)]).await;
    until_state(&client, known[0], JobState::Completed).await;
    let strangers: Vec<_> = (0..300).map(|n| to(&format!("stranger {}", n % 250), n)).collect();
    let strangers = enqueue(&client, strangers).await;
    let last = enqueue(&client, vec![to("known", 2)]).await;
    until_state(&client, last[0], JobState::Completed).await;
    until_waiting(&client, 250).await;
    assert_eq!(client.queue(&WORK).await.unwrap().stepped_aside, 300);
    for id in &strangers[..40] {
        assert_eq!(client.cancel(*id).await.unwrap(), Cancelled::Now);
    }

    define(&client, unique(101)).await; // a hundred more
    until("a hundred recipients more were used", || async { (state(&client).await.caps[0].used == 101).then_some(()) })
        .await;
    define(&client, unique(1000)).await;
    until_completed(&client, 262).await;
    let stats = client.queue(&WORK).await.unwrap();
    assert_eq!((stats.available, stats.stepped_aside), (0, 0));
    assert_eq!(state(&client).await.waiting_recipients, 0);
    worker.stop().await;
}

#[tokio::test]
async fn places_come_free_as_recipients_leave_the_window_and_the_books_are_believed() {
    let server = Server::start_at("@2026-03-01 12:00:00").await;
    let client = server.client().await;
    define(&client, unique(2)).await;
    let at: DateTime<Utc> = "2026-03-01T10:00:00Z".parse().unwrap();
    let recipient = |name: &str| RecipientKey::of(name).unwrap();
    let facts = [
        Restored::Recipient { recipient: recipient("a"), at },
        Restored::Recipient { recipient: recipient("a"), at: at - chrono::TimeDelta::hours(5) },
    ];
    client.restore_scope(&tenant("acme"), &scope(), &facts).await.unwrap();
    let worker = work(&client, config(8), |_| async { done() });
    let keep = DAY * 300;
    let ids = enqueue(&client, ["b", "c", "d"].map(|name| NewJob { keep, ..to(name, 1) }).to_vec()).await;
    until_state(&client, ids[0], JobState::Completed).await;
    until_waiting(&client, 2).await;
    server.set_clock("@2026-03-02 09:59:50"); // still within a day of `a`
    until_waiting(&client, 2).await;
    server.set_clock("@2026-03-02 10:00:10");
    until_state(&client, ids[1], JobState::Completed).await;
    until_waiting(&client, 1).await;
    server.set_clock("@2026-03-02 12:10:00"); // and of `b`
    until_state(&client, ids[2], JobState::Completed).await;
    worker.stop().await;
}

fn of(lane: &str, recipient: &str, number: usize) -> NewJob {
    to(recipient, number).lane(Lane::with_scopes(LaneName::parse(lane).unwrap(), vec![scope()]))
}

#[tokio::test]
async fn one_who_became_known_through_another_lane_waits_for_no_place() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, unique(1)).await;
    let (worker, gate) = gated(&client, CapUse::NotUsed);
    let first = enqueue(&client, vec![of("one", "first", 1)]).await;
    until_state(&client, first[0], JobState::Running).await;
    let mut ids = enqueue(&client, vec![of("one", "a", 1)]).await;
    until_waiting(&client, 1).await; // so it is the oldest
    let mut jobs: Vec<_> = (0..40).map(|n| of("one", &format!("stranger {n}"), 1)).collect();
    jobs.extend([of("two", "a", 2), of("two", "a", 3)]);
    ids.extend(enqueue(&client, jobs).await);
    until_waiting(&client, 42).await;
    gate.add_permits(1);
    for id in [ids[0], ids[41], ids[42]] {
        until_state(&client, id, JobState::Running).await;
    }
    assert_eq!(state(&client).await.waiting_recipients, 40);
    gate.add_permits(43);
    until_completed(&client, 44).await;
    assert_eq!(state(&client).await.waiting_recipients, 0);
    let mut redis = server.redis().await;
    let left: Vec<String> = redis::cmd("KEYS").arg("{pr:0}:1:newcomers*").query_async(&mut redis).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
    worker.stop().await;
}

#[tokio::test]
async fn one_whom_the_books_know_waits_for_no_place() {
    let server = Server::start().await;
    let client = server.client().await;
    define(&client, unique(1)).await;
    let worker = work(&client, config(8), |_| async { done() });
    let ids = enqueue(&client, vec![to("first", 1), to("known", 1), to("stranger", 1)]).await;
    until_waiting(&client, 2).await;
    let at = client.get(ids[0]).await.unwrap().unwrap().enqueued_at;
    let fact = Restored::Recipient { recipient: RecipientKey::of("known").unwrap(), at };
    client.restore_scope(&tenant("acme"), &scope(), &[fact]).await.unwrap();
    until_state(&client, ids[1], JobState::Completed).await;
    until_waiting(&client, 1).await;
    worker.stop().await;
}

async fn remembers(server: &Server) -> bool {
    redis::cmd("EXISTS").arg("{pr:0}:1:people:acme:number:1").query_async(&mut server.redis().await).await.unwrap()
}

#[tokio::test]
async fn whom_an_unused_scope_knew_is_forgotten_but_never_inside_of_a_window() {
    let server = Server::start_at("@2026-03-01 12:00:00").await;
    let client = server.client().await;
    let start: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
    let year = Window { starts_at: start, ends_at: start + chrono::TimeDelta::days(365), used_before: 0 };
    let calendar = || ScopeLimits::caps(vec![CapSpec::calendar(1, vec![year]).of_recipients()]);
    let used = || async { state(&client).await.caps[0].used };
    define(&client, calendar()).await;
    let (worker, gate) = gated(&client, CapUse::Default);
    let keep = DAY * 300;
    let first = enqueue(&client, vec![NewJob { keep, ..to("a", 1) }]).await;
    until_state(&client, first[0], JobState::Running).await;
    server.set_clock("@2026-03-20 12:00:00"); // a unit is reserved
    assert!(remembers(&server).await);
    gate.add_permits(1);
    until_state(&client, first[0], JobState::Completed).await;
    server.set_clock("@2026-12-31 23:00:00");
    assert_eq!(used().await, 1);
    // A longer window is defined in time, and the books know of somebody.
    define(&client, ScopeLimits::caps(vec![CapSpec::moving(1, 300 * DAY).of_recipients()])).await;
    server.set_clock("@2027-01-13 11:00:00");
    assert_eq!(used().await, 1);
    server.set_clock("@2027-12-31 12:00:00");
    assert!(!remembers(&server).await, "it is kept for ever");
    let at = "2027-12-31T11:00:00Z".parse().unwrap();
    let fact = Restored::Recipient { recipient: RecipientKey::of("b").unwrap(), at };
    client.restore_scope(&tenant("acme"), &scope(), &[fact]).await.unwrap();
    server.set_clock("@2028-10-25 12:00:00");
    assert_eq!(used().await, 1);
    server.set_clock("@2029-03-01 12:00:00");
    assert!(!remembers(&server).await, "it is kept for ever");
    worker.stop().await;
}
