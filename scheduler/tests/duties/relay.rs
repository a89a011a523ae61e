use std::time::Duration;

use postrider_queue::{DepthLimits, Job, NewJob};
use postrider_scheduler::{
    duty::{Duty, keep},
    relay::Relay,
};
use postrider_shared::{
    ids::{MailId, TenantId},
    jobs::{ExtractRequest, Queue, diagnostic::DiagnosticEcho},
    tenants::TenantSettings,
};
use postrider_tests::wait::eventually;
use tokio_util::sync::CancellationToken;

use crate::office::{Office, rounds};

on_both_databases![
    entries_that_were_not_marked_are_relayed_once,
    entries_that_cannot_go_hold_up_no_others,
    steps_in_which_nothing_can_go_delay_nobody,
];

async fn append(office: &Office, tenant: TenantId, payload: &impl Job) {
    append_all(office, tenant, std::slice::from_ref(payload)).await;
}

async fn append_all(office: &Office, tenant: TenantId, payloads: &[impl Job]) {
    let tx = office.database.write().await.unwrap();
    for payload in payloads {
        let job = NewJob::of(tenant.into(), payload).unwrap();
        office.stores.outbox.append(&tx, tenant, &job).await.unwrap();
    }
    tx.commit().await.unwrap();
}

fn echo(n: usize) -> DiagnosticEcho {
    DiagnosticEcho { data: n.into(), lane: None }
}

fn relay(office: &Office) -> Relay {
    Relay::new(office.stores.outbox.clone(), office.queue.clone(), Duration::ZERO)
}

async fn entries_that_were_not_marked_are_relayed_once(office: Office) {
    // Their writers committed and were killed: more than one step takes.
    for n in 0..300 {
        append(&office, office.tenant, &echo(n)).await;
    }
    let (mut one, mut other) = (relay(&office), relay(&office));
    tokio::join!(rounds(&mut one), rounds(&mut other));
    rounds(&mut one).await;
    let queue = Queue::Diagnostics.name();
    assert_eq!(office.queue.queue(&queue).await.unwrap().available, 300);
}

/// One queue is full, and more wait for it than a step takes, of one tenant; behind them what could go, of the same and of another.
async fn entries_that_cannot_go_hold_up_no_others(office: Office) {
    let (full, open) = (Queue::Diagnostics.name(), ExtractRequest::QUEUE);
    let limits = DepthLimits { queues: vec![(full.clone(), 1)], ..DepthLimits::NONE };
    office.queue.limit_depth(&limits).await.unwrap();
    for n in 0..600 {
        append(&office, office.tenant, &echo(n)).await;
    }
    let other = office.stores.tenants.create(TenantSettings::named("Stone Quay")).await.unwrap().id;
    for tenant in [office.tenant, other] {
        append(&office, tenant, &ExtractRequest { mail_id: MailId::random() }).await;
    }
    let mut relay = relay(&office);
    let _ = relay.step().await;
    assert!(office.queue.queue(&open).await.unwrap().available > 0, "the other tenant waits for the flood");
    for _ in 0..2 {
        let _ = relay.step().await;
    }
    assert_eq!(office.queue.queue(&open).await.unwrap().available, 2, "what could go waits behind what cannot");

    office.queue.limit_depth(&DepthLimits::NONE).await.unwrap();
    for _ in 0..2 {
        rounds(&mut relay).await;
    }
    assert_eq!(office.queue.queue(&full).await.unwrap().available, 600);
}

/// The same, as the process keeps the duty: many steps in a row find nothing that could go.
async fn steps_in_which_nothing_can_go_delay_nobody(office: Office) {
    let (full, open) = (Queue::Diagnostics.name(), ExtractRequest::QUEUE);
    let limits = DepthLimits { queues: vec![(full.clone(), 0)], ..DepthLimits::NONE };
    office.queue.limit_depth(&limits).await.unwrap();
    append_all(&office, office.tenant, &(0..5_000).map(echo).collect::<Vec<_>>()).await;
    append(&office, office.tenant, &ExtractRequest { mail_id: MailId::random() }).await;
    let relay = Relay::new(office.stores.outbox.clone(), office.queue.clone(), Duration::from_millis(20));
    let stop = CancellationToken::new();
    let gone = eventually("what could go waits for its turn only", async || {
        let queue = office.queue.queue(&open).await.unwrap();
        (queue.available == 1).then(|| stop.cancel())
    });
    tokio::join!(keep(relay, stop.clone()), gone);
}
