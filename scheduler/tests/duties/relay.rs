use postrider_queue::NewJob;
use postrider_scheduler::relay::Relay;
use postrider_shared::jobs::diagnostic::DiagnosticEcho;

use crate::office::{Office, rounds};

on_both_databases![entries_that_were_not_marked_are_relayed_once];

async fn entries_that_were_not_marked_are_relayed_once(office: Office) {
    // Their writers committed and were killed: more than one step takes.
    for n in 0..300 {
        let job = DiagnosticEcho { data: n.into(), lane: None };
        let job = NewJob::of(office.tenant.into(), &job).unwrap();
        let tx = office.database.write().await.unwrap();
        office.stores.outbox.append(&tx, office.tenant, &job).await.unwrap();
        tx.commit().await.unwrap();
    }
    let relay = || Relay::new(office.stores.outbox.clone(), office.queue.clone(), std::time::Duration::ZERO);
    let (mut one, mut other) = (relay(), relay());
    tokio::join!(rounds(&mut one), rounds(&mut other));
    rounds(&mut one).await;
    let queue = postrider_shared::jobs::Queue::Diagnostics.name();
    assert_eq!(office.queue.queue(&queue).await.unwrap().available, 300);
}
