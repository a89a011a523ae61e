use std::time::Duration;

use postrider_queue::{JobId, NewJob};
use postrider_scheduler::sweeper::Sweeper;
use postrider_shared::{
    config::ObjectsConfig,
    database::AllTenants,
    dead_letters::{DeadLetterFilter, Redriven, Redriver},
    jobs::diagnostic::DiagnosticEcho,
    objects::Objects,
    payloads::{PayloadReference, PayloadSweep, Payloads},
};
use postrider_tests::wait::eventually;
use serde_json::json;

use crate::office::{Office, rounds};

on_both_databases!(
    a_payload_that_never_came_into_the_queue_is_removed_after_an_hour,
    a_payload_stays_as_long_as_its_job_is_known,
    a_payload_follows_a_redrive_and_goes_with_a_discarded_letter,
    nothing_is_removed_while_redis_is_away,
);

struct Storage {
    objects: Objects,
    payloads: Payloads,
}

impl Storage {
    fn of(office: &Office) -> Self {
        let objects = Objects::open(&ObjectsConfig::at("memory:///")).unwrap();
        let payloads = Payloads::new(office.database.clone(), objects.clone(), office.clock.clone());
        Self { objects, payloads }
    }

    fn sweeper(&self, office: &Office) -> Sweeper {
        Sweeper::new(PayloadSweep::new(self.payloads.clone(), office.stores.dead_letters.clone(), office.queue.clone()))
    }

    /// Hours pass, with a sweep in each.
    async fn hours(&self, office: &Office, hours: u32) {
        for _ in 0..hours {
            office.clock.advance(Duration::from_mins(61));
            rounds(&mut self.sweeper(office)).await;
        }
    }

    async fn store(&self, office: &Office) -> (JobId, PayloadReference) {
        let id = office.queue.job_id(&office.tenant.into());
        (id, self.payloads.store(office.tenant, id, b"{\"data\":1}".to_vec()).await.unwrap())
    }

    async fn is_there(&self, office: &Office, reference: &PayloadReference) -> bool {
        self.objects.get(&reference.key(&office.tenant.into())).await.is_ok()
    }
}

/// Enqueues the job whose payload was stored.
async fn enqueue(office: &Office, id: JobId, reference: &PayloadReference) {
    let echo: DiagnosticEcho = serde_json::from_value(json!({})).unwrap();
    let job = NewJob::of(office.tenant.into(), &echo).unwrap().with_id(id);
    let job = NewJob { payload: reference.to_payload(), keep: Duration::from_secs(1), ..job };
    office.queue.enqueue(job).await.unwrap();
}

/// Ends a job and waits until the queue has forgotten it.
async fn forget(office: &Office, id: JobId) {
    office.queue.cancel(id).await.unwrap();
    eventually("the record expires", async || {
        office.queue.tick().await.unwrap();
        office.queue.get(id).await.unwrap().is_none().then_some(())
    })
    .await;
}

async fn a_payload_that_never_came_into_the_queue_is_removed_after_an_hour(office: Office) {
    let storage = Storage::of(&office);
    let (_, reference) = storage.store(&office).await;
    office.clock.advance(Duration::from_mins(59));
    rounds(&mut storage.sweeper(&office)).await;
    assert!(storage.is_there(&office, &reference).await, "its job may still be on its way");
    storage.hours(&office, 1).await;
    assert!(!storage.is_there(&office, &reference).await);
}

async fn a_payload_stays_as_long_as_its_job_is_known(office: Office) {
    let storage = Storage::of(&office);
    let (id, reference) = storage.store(&office).await;
    enqueue(&office, id, &reference).await;
    storage.hours(&office, 3).await;
    assert!(storage.is_there(&office, &reference).await, "its job waits");
    forget(&office, id).await;
    let mut twice = (storage.sweeper(&office), storage.sweeper(&office));
    office.clock.advance(Duration::from_mins(61));
    tokio::join!(rounds(&mut twice.0), rounds(&mut twice.1));
    assert!(!storage.is_there(&office, &reference).await);
}

async fn a_payload_follows_a_redrive_and_goes_with_a_discarded_letter(office: Office) {
    let storage = Storage::of(&office);
    let mut letters = Vec::new();
    let mut references = Vec::new();
    for _ in 0..2 {
        let (id, reference) = storage.store(&office).await;
        enqueue(&office, id, &reference).await;
        let record = office.queue.get(id).await.unwrap().unwrap();
        let letter = postrider_queue::DeadLetter {
            record,
            death_number: 1,
            attempts: 1,
            error: "no".to_owned(),
            died_at: office.clock.now(),
        };
        office.stores.dead_letters.archive(AllTenants, &[letter]).await.unwrap();
        forget(&office, id).await;
        letters.push(id);
        references.push(reference);
    }
    storage.hours(&office, 3).await;
    for reference in &references {
        assert!(storage.is_there(&office, reference).await, "its letter waits for a person");
    }
    let rows = office.stores.dead_letters.list(office.tenant, &DeadLetterFilter::default(), None, 10).await.unwrap();
    let row = |id: JobId| rows.items.iter().find(|row| row.job_id == id.to_string()).unwrap().id;
    office.stores.dead_letters.discard(office.tenant, row(letters[0])).await.unwrap();
    let redriver = Redriver::new(office.stores.dead_letters.clone(), office.queue.clone());
    let answer = redriver.redrive(office.tenant, row(letters[1]), None).await.unwrap();
    let Redriven::Enqueued { job, .. } = answer else { panic!("{answer:?}") };
    storage.hours(&office, 3).await;
    assert!(!storage.is_there(&office, &references[0]).await, "nobody wants it");
    assert!(storage.is_there(&office, &references[1]).await, "the job in its place waits");
    assert_eq!(
        PayloadReference::read(&office.queue.get(job).await.unwrap().unwrap().payload).as_ref(),
        Some(&references[1])
    );
    office.queue.cancel(job).await.unwrap();
    storage.hours(&office, 1).await;
    assert!(storage.is_there(&office, &references[1]).await, "the job is still shown");
}

async fn nothing_is_removed_while_redis_is_away(office: Office) {
    let storage = Storage::of(&office);
    let (id, reference) = storage.store(&office).await;
    enqueue(&office, id, &reference).await;
    office.redis.kill();
    office.clock.advance(Duration::from_hours(5));
    assert!(postrider_scheduler::duty::Duty::step(&mut storage.sweeper(&office)).await.is_err());
    assert!(storage.is_there(&office, &reference).await);
    office.redis.restart().await;
    eventually("the queue is back", async || office.queue.ping().await.ok()).await;
    storage.hours(&office, 1).await;
    assert!(storage.is_there(&office, &reference).await);
}
