use std::time::Duration;

use postrider_queue::{ScopeState, Tenant};
use postrider_scheduler::feeder::Feeder;
use postrider_shared::{
    accounts::Account,
    database::StoreError,
    ids::MessageId,
    messages::{BeginSending, PlannedMessage, Slot, Verdict},
};

use crate::office::{Office, rounds};

on_both_databases![
    what_was_sent_today_is_known_again_after_redis_lost_its_data,
    a_replica_that_became_the_master_is_told_what_was_sent,
    a_pause_and_a_new_cap_reach_the_queue,
    a_mailbox_connected_twice_has_one_scope_with_the_smaller_cap,
];

const INTERVAL: Duration = Duration::from_mins(10);

fn feeder(office: &Office) -> Feeder {
    Feeder::new(office.stores.clone(), office.queue.clone(), office.clock.clone())
}

async fn scope(office: &Office, account: &Account) -> ScopeState {
    office.queue.scope(&Tenant::from(office.tenant), &account.scope()).await.unwrap().expect("a defined scope")
}

/// Sends a message, as far as the ledger knows.
pub async fn send(office: &Office, account: &Account, number: u32) -> (MessageId, u32) {
    let id = MessageId::derived(&["test", &number.to_string()]);
    let message = PlannedMessage::alone(id, account, "aoife@saltandstone.example");
    office.stores.messages.plan(office.tenant, message).await.unwrap();
    let slot = Slot { scope: Some(account.scope()), window: None };
    match office.stores.messages.begin_sending(office.tenant, id, slot).await.unwrap() {
        BeginSending::Go { attempt, .. } => (id, attempt),
        other => panic!("{other:?}"),
    }
}

async fn what_was_sent_today_is_known_again_after_redis_lost_its_data(office: Office) {
    let account = office.account("quotes@harbourlane.example", INTERVAL, 250).await;
    for number in 0..3 {
        let (id, attempt) = send(&office, &account, number).await;
        let verdict = Verdict::Accepted { at: office.clock.now(), provider_id: None };
        office.stores.messages.settle(office.tenant, id, attempt, verdict).await.unwrap();
    }
    let mut feeder = feeder(&office);
    rounds(&mut feeder).await;
    assert_eq!(scope(&office, &account).await.caps[0].used, 3);

    let mut redis = office.redis.connection().await;
    let () = redis::cmd("FLUSHALL").query_async(&mut redis).await.unwrap();
    rounds(&mut feeder).await;
    let state = scope(&office, &account).await;
    assert_eq!((state.caps[0].used, state.caps[0].limit), (3, 250));
}

async fn a_replica_that_became_the_master_is_told_what_was_sent(office: Office) {
    let account = office.account("quotes@harbourlane.example", INTERVAL, 250).await;
    let mut feeder = feeder(&office);
    rounds(&mut feeder).await;
    // Two were sent of which it never heard.
    for number in 0..2 {
        send(&office, &account, number).await;
    }
    let mut redis = office.redis.connection().await;
    for (host, port) in [("127.0.0.1", "1"), ("NO", "ONE")] {
        let () = redis::cmd("REPLICAOF").arg(host).arg(port).query_async(&mut redis).await.unwrap();
    }
    let state = scope(&office, &account).await;
    assert_eq!((state.closed.is_some(), state.caps[0].used), (true, 0));
    rounds(&mut feeder).await;
    let state = scope(&office, &account).await;
    assert_eq!((state.closed.is_some(), state.caps[0].used), (false, 2));
}

async fn a_pause_and_a_new_cap_reach_the_queue(office: Office) {
    let account = office.account("quotes@harbourlane.example", INTERVAL, 250).await;
    let mut feeder = feeder(&office);
    rounds(&mut feeder).await;
    assert!(!scope(&office, &account).await.paused);

    office.clock.advance(Duration::from_secs(1));
    office.stores.accounts.pause(office.tenant, account.id, "asked to").await.unwrap();
    rounds(&mut feeder).await;
    assert!(scope(&office, &account).await.paused);

    office.clock.advance(Duration::from_secs(1));
    office.stores.accounts.resume(office.tenant, account.id).await.unwrap();
    let mut settings = account.settings();
    settings.daily_cap = 7;
    let change = |_: &Account| Ok::<_, StoreError>(settings.into());
    office.stores.accounts.change(office.tenant, account.id, change).await.unwrap();
    rounds(&mut feeder).await;
    let state = scope(&office, &account).await;
    assert_eq!((state.paused, state.caps[0].limit), (false, 7));
}

async fn a_mailbox_connected_twice_has_one_scope_with_the_smaller_cap(office: Office) {
    let one = office.account("quotes@harbourlane.example", INTERVAL, 250).await;
    let other = office.account("Quotes@HarbourLane.example", INTERVAL, 100).await;
    assert_eq!(one.scope(), other.scope());
    let mut feeder = feeder(&office);
    rounds(&mut feeder).await;
    assert_eq!(scope(&office, &one).await.caps[0].limit, 100);

    office.clock.advance(Duration::from_secs(1));
    office.stores.accounts.pause(office.tenant, other.id, "asked to").await.unwrap();
    rounds(&mut feeder).await;
    let state = scope(&office, &one).await;
    assert_eq!((state.paused, state.caps[0].limit), (false, 250), "the other connection goes on");
}
