use std::time::Duration;

use chrono::TimeDelta;
use postrider_shared::{
    accounts::NewAccount,
    database::AllTenants,
    ids::WatcherId,
    watches::{Way, share},
};

use crate::scene::{Scene, account_settings, on_both};

on_both!(
    a_mailbox_is_watched_by_one,
    who_does_not_beat_loses_everything_and_learns_it,
    failures_in_a_row_make_the_pause_longer,
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
