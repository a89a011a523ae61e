//! What a mailbox may still send, after Redis has forgotten what it sent.

use postrider_queue::{QueueClient, ScopeState};
use postrider_shared::accounts::{Account, NewAccount};
use postrider_shared::clock::Clock;
use postrider_shared::ids::{MessageId, TenantId};
use postrider_shared::messages::{BeginSending, PlannedMessage, Slot, Verdict};
use postrider_shared::scopes::Scopes;
use postrider_shared::stores::Stores;
use postrider_shared::tenants::TenantSettings;

use super::PASSWORD;
use super::redis::Redis;

/// A message of the account, sent as far as this verdict says; none: its data started, and nothing more is known.
async fn sent(stores: &Stores, account: &Account, clock: &Clock, verdict: Option<Verdict>) {
    let (tenant, id) = (account.tenant_id, MessageId::random());
    let planned = PlannedMessage::alone(id, account, "anna@example.org");
    stores.messages.plan(tenant, planned).await.unwrap();
    let slot = Slot { scope: Some(account.scope()), window: Some(clock.now()) };
    let BeginSending::Go { attempt, .. } = stores.messages.begin_sending(tenant, id, slot).await.unwrap() else {
        panic!("it may be sent");
    };
    stores.messages.data_starting(tenant, id, attempt).await.unwrap();
    if let Some(verdict) = verdict {
        stores.messages.settle(tenant, id, attempt, verdict).await.unwrap();
    }
}

async fn state(queue: &QueueClient, tenant: TenantId, account: &Account) -> ScopeState {
    queue.scope(&tenant.into(), &account.scope()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_closed_scope_is_rebuilt_from_the_ledger_by_its_next_definition() {
    let redis = Redis::start();
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let database = super::database(folder.path()).await;
    let stores = super::stores(&database, &clock);
    let queue = redis.client().await;
    let tenant = stores.tenants.create(TenantSettings::named("Lindner")).await.unwrap().id;
    let new = NewAccount { settings: super::account_settings(), password: PASSWORD.into() };
    let account = stores.accounts.create(tenant, new).await.unwrap();
    let scopes = Scopes::new(stores.accounts.clone(), stores.messages.clone(), queue.clone(), clock.clone());
    scopes.define(&account).await.unwrap();
    assert_eq!(state(&queue, tenant, &account).await.caps[0].used, 0);

    // Sent while Redis forgot it: one accepted, one in doubt, one under way, one refused.
    let accepted = Verdict::Accepted { at: clock.now(), provider_id: None };
    let verdicts = [
        Some(accepted),
        Some(Verdict::Unknown { reason: "lost".into() }),
        None,
        Some(Verdict::Failed { reason: "no such user".into() }),
    ];
    for verdict in verdicts {
        sent(&stores, &account, &clock, verdict).await;
    }
    let shard = queue.shard_of(&tenant.into());
    queue.close_scopes(shard, "a new master").await.unwrap();
    assert!(state(&queue, tenant, &account).await.closed.is_some());

    for _ in 0..2 {
        scopes.define(&account).await.unwrap();
        let seen = state(&queue, tenant, &account).await;
        assert_eq!((seen.closed, seen.caps[0].used, seen.caps[0].limit), (None, 3, 5));
    }
}
