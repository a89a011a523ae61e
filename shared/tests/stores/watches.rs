use std::time::Duration;

use chrono::TimeDelta;
use postrider_queue::JobId;
use postrider_shared::{
    accounts::NewAccount,
    database::AllTenants,
    ids::WatcherId,
    watches::{Opener, Way, share},
};

use crate::scene::{Scene, account_settings, on_both};

on_both!(
    a_mailbox_is_watched_by_one,
    who_does_not_beat_loses_everything_and_learns_it,
    failures_in_a_row_make_the_pause_longer,
    a_clock_that_was_ahead_leaves_no_mailbox_alone,
    no_more_connections_than_allowed_are_open_at_once,
);

async fn mailboxes(scene: &Scene, count: usize) {
    for number in 0..count {
        let settings = account_settings(&format!("sales-{number}@example.com"));
        let new = NewAccount { settings, password: "hunter2".to_owned().into() };
        scene.stores.accounts.create(scene.tenant, new).await.unwrap();
    }
}

async fn a_mailbox_is_watched_by_one(scene: Scene) {
    let watches = &scene.stores.watches;
    mailboxes(&scene, 20).await;
    let watchers: Vec<WatcherId> = (0..4).map(|_| WatcherId::random()).collect();
    for watcher in &watchers {
        watches.join(AllTenants, *watcher, 100).await.unwrap();
    }
    // All want all of them at the same moment.
    let claims = watchers.iter().map(|watcher| watches.claim(AllTenants, *watcher, 20));
    let claimed = futures::future::join_all(claims).await;
    let mut all: Vec<_> = claimed.into_iter().flat_map(|claimed| claimed.unwrap()).map(|account| account.id).collect();
    all.sort_unstable();
    let count = all.len();
    all.dedup();
    assert_eq!((all.len(), count), (20, 20), "each is claimed once");
    assert_eq!(watches.watchable(AllTenants).await.unwrap(), 20);
    let seen = watches.watchers(AllTenants).await.unwrap();
    assert_eq!(watchers.iter().map(|watcher| share(*watcher, &seen, 20)).sum::<u64>(), 20);

    let mut held = 0;
    for watcher in &watchers {
        held += watches.held(AllTenants, *watcher).await.unwrap().len();
    }
    assert_eq!(held, 20);
    let paused = scene.stores.accounts.pause(scene.tenant, all[0], "a test").await.unwrap();
    for watcher in &watchers {
        for held in watches.held(AllTenants, *watcher).await.unwrap() {
            assert_eq!(held.settled_at.is_none(), held.account_id == paused.id);
            watches.release(AllTenants, *watcher, held.account_id).await.unwrap();
        }
    }
    assert_eq!(watches.claim(AllTenants, watchers[0], 100).await.unwrap().len(), 19, "a paused one is left alone");
    let other = watches.claim(AllTenants, watchers[1], 100).await.unwrap();
    assert!(other.is_empty());
}

async fn who_does_not_beat_loses_everything_and_learns_it(scene: Scene) {
    let watches = &scene.stores.watches;
    mailboxes(&scene, 3).await;
    let (dead, heir) = (WatcherId::random(), WatcherId::random());
    for watcher in [dead, heir] {
        watches.join(AllTenants, watcher, 100).await.unwrap();
    }
    assert_eq!(watches.claim(AllTenants, dead, 100).await.unwrap().len(), 3);
    let seen = watches.watchers(AllTenants).await.unwrap().into_iter().find(|watcher| watcher.id == dead).unwrap();
    assert!(watches.beat(AllTenants, dead).await.unwrap());
    assert!(!watches.bury(AllTenants, &seen).await.unwrap(), "it has beaten since");
    let seen = watches.watchers(AllTenants).await.unwrap().into_iter().find(|watcher| watcher.id == dead).unwrap();
    assert!(watches.bury(AllTenants, &seen).await.unwrap());
    assert_eq!(watches.claim(AllTenants, heir, 100).await.unwrap().len(), 3);
    // It wakes up.
    assert!(!watches.beat(AllTenants, dead).await.unwrap());
    watches.leave(AllTenants, heir).await.unwrap();
    assert!(watches.claim(AllTenants, dead, 100).await.is_err(), "who is buried takes nothing");
    assert!(watches.watchers(AllTenants).await.unwrap().is_empty());
}

async fn failures_in_a_row_make_the_pause_longer(scene: Scene) {
    let watches = &scene.stores.watches;
    let account = scene.account().await;
    let watcher = WatcherId::random();
    watches.join(AllTenants, watcher, 100).await.unwrap();
    let mut last = TimeDelta::zero();
    for failure in 1..=6 {
        let retry_at = watches.failed(&account, Way::Idle, "it hung up").await.unwrap();
        let pause = retry_at - scene.now();
        assert!(pause > last, "after failure {failure}: {pause} and before {last}");
        // The shortest pause of the next failure is the longest of this one, or half of it by chance.
        last = pause / 2;
        assert!(watches.claim(AllTenants, watcher, 10).await.unwrap().is_empty());
        assert_eq!(watches.watchable(AllTenants).await.unwrap(), 0);
        assert!(watches.left_alone(&account, Way::Idle).await.unwrap().is_some());
        assert!(watches.left_alone(&account, Way::Poll).await.unwrap().is_none(), "the ways are apart");
        scene.clock.advance(pause.to_std().unwrap());
        let claimed = watches.claim(AllTenants, watcher, 10).await.unwrap();
        assert_eq!(claimed.len(), 1);
        watches.release(AllTenants, watcher, account.id).await.unwrap();
    }
    watches.recovered(&account, Way::Idle).await.unwrap();
    let retry_at = watches.failed(&account, Way::Idle, "it hung up").await.unwrap();
    assert!(retry_at - scene.now() <= TimeDelta::seconds(2), "a first failure again");
    scene.clock.advance(Duration::from_mins(1));
    watches.not_offered(&account, Way::Idle, TimeDelta::hours(12), "no IDLE").await.unwrap();
    assert_eq!(watches.watchable(AllTenants).await.unwrap(), 0);
}

/// A worker's clock was a day ahead and is put right.
async fn a_clock_that_was_ahead_leaves_no_mailbox_alone(scene: Scene) {
    let watches = &scene.stores.watches;
    let (failing, without_idle) = (scene.account().await, scene.account().await);
    let right = scene.now();
    scene.clock.advance(Duration::from_hours(30));
    for way in [Way::Idle, Way::Poll] {
        watches.failed(&failing, way, "it hung up").await.unwrap();
    }
    watches.not_offered(&without_idle, Way::Idle, TimeDelta::hours(12), "no IDLE").await.unwrap();
    assert_eq!(watches.watchable(AllTenants).await.unwrap(), 0);
    scene.clock.set(right);
    assert_eq!(watches.left_alone(&failing, Way::Poll).await.unwrap(), None);
    assert_eq!(watches.watchable(AllTenants).await.unwrap(), 2);
    // What is told by a clock that is right holds.
    let retry_at = watches.failed(&failing, Way::Poll, "it hung up").await.unwrap();
    assert_eq!(watches.left_alone(&failing, Way::Poll).await.unwrap().map(|left| left.0), Some(retry_at));
}

async fn no_more_connections_than_allowed_are_open_at_once(scene: Scene) {
    let watches = &scene.stores.watches;
    let account = scene.account().await;
    // The same mailbox once more: one login to its server.
    let twin = scene.account().await;
    let watcher = WatcherId::random();
    watches.join(AllTenants, watcher, 100).await.unwrap();
    let job = |number: u64| Opener::Job(JobId::derived(0, &[&number.to_string()]), Duration::from_mins(1));
    assert!(watches.open(&account, Opener::Watcher(watcher), 3).await.unwrap());
    // All want one at the same moment.
    let wanted: Vec<u64> = (0..8).collect();
    let opened = wanted.iter().map(|number| {
        let account = if number.is_multiple_of(2) { &account } else { &twin };
        async move { watches.open(account, job(*number), 3).await.unwrap() }
    });
    let opened = futures::future::join_all(opened).await;
    let open: Vec<u64> = wanted.into_iter().filter(|number| opened[usize::try_from(*number).unwrap()]).collect();
    assert_eq!(open.len(), 2, "{opened:?}");
    let holder = |number: u64| if number.is_multiple_of(2) { &account } else { &twin };
    assert!(watches.open(holder(open[0]), job(open[0]), 3).await.unwrap(), "it is the same connection");
    assert!(!watches.open(&account, job(99), 3).await.unwrap());
    watches.closed(holder(open[0]), job(open[0])).await.unwrap();
    assert!(watches.open(&account, job(99), 3).await.unwrap());
    // Whoever was killed is counted until its time is over, and a watcher until it is buried.
    scene.clock.advance(Duration::from_secs(61));
    assert!(watches.open(&account, job(100), 2).await.unwrap());
    assert!(!watches.open(&account, job(101), 2).await.unwrap());
    watches.leave(AllTenants, watcher).await.unwrap();
    assert!(watches.open(&account, job(101), 2).await.unwrap());
    assert!(!watches.open(&account, Opener::Watcher(WatcherId::random()), 1).await.unwrap(), "the last is for reading");
}
