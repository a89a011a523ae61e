use std::sync::Mutex;

use async_trait::async_trait;
use postrider_queue::{Enqueued, JobId, Lane, NewJob, QueueError, Tenant};
use postrider_shared::{
    database::AllTenants,
    ids::MailId,
    jobs::{ExtractRequest, diagnostic::DiagnosticEcho},
    outbox::{Enqueue, Relay, Relayed, Sweep},
};

use crate::scene::{Scene, on_both};

on_both!(
    a_job_reaches_the_queue_only_if_its_transaction_commits,
    an_answer_that_was_lost_repeats_the_same_job,
    one_malformed_entry_stops_nobody,
    relayed_entries_are_pruned,
);

/// Stands for the queue where a test must plan its failures: it takes jobs, loses answers, refuses what is malformed.
#[derive(Default)]
pub struct Tray {
    pub taken: Mutex<Vec<NewJob>>,
    pub lose_answers: Mutex<u32>,
    pub holder: Mutex<Option<JobId>>,
    /// How many more jobs there is room for; no end if absent.
    pub room: Mutex<Option<usize>>,
}

fn too_deep() -> QueueError {
    QueueError::TooDeep { queue: "work".to_owned(), waiting: 1, limit: 1 }
}

#[async_trait]
impl Enqueue for &Tray {
    async fn enqueue_many(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>, QueueError> {
        if jobs.iter().any(|job| job.lane.scopes.len() > Lane::MAX_SCOPES) {
            return Err(QueueError::Invalid { what: "lane", reason: "too many scopes".to_owned() });
        }
        if let Some(holder) = *self.holder.lock().unwrap() {
            return Ok(jobs.iter().map(|_| Enqueued::UniqueTaken(holder)).collect());
        }
        let mut taken = self.taken.lock().unwrap();
        let answers = jobs
            .into_iter()
            .map(|job| {
                let id = job.id.expect("the relay gives every job its id");
                if taken.iter().any(|known| known.id == Some(id)) {
                    return Enqueued::Exists(id);
                }
                taken.push(job);
                Enqueued::Created(id)
            })
            .collect();
        let mut lose = self.lose_answers.lock().unwrap();
        if *lose > 0 {
            *lose -= 1;
            return Err(QueueError::Full);
        }
        Ok(answers)
    }

    async fn enqueue_each(&self, jobs: Vec<NewJob>) -> Result<Vec<Result<Enqueued, QueueError>>, QueueError> {
        let many = jobs.len();
        if let Some(room) = &mut *self.room.lock().unwrap() {
            // All or none.
            let Some(left) = room.checked_sub(many) else { return Ok((0..many).map(|_| Err(too_deep())).collect()) };
            *room = left;
        }
        match self.enqueue_many(jobs).await {
            Ok(answers) => Ok(answers.into_iter().map(Ok).collect()),
            Err(error @ QueueError::Invalid { .. }) => Err(error),
            Err(_) => Ok((0..many).map(|_| Err(QueueError::Closed)).collect()),
        }
    }

    async fn has(&self, job: JobId) -> Result<bool, QueueError> {
        Ok(self.taken.lock().unwrap().iter().any(|known| known.id == Some(job)))
    }

    fn derived_job_id(&self, tenant: &Tenant, parts: &[&str]) -> JobId {
        let mut all = vec![tenant.as_str()];
        all.extend(parts);
        JobId::derived(3, &all)
    }
}

fn job(scene: &Scene) -> NewJob {
    NewJob::of(scene.tenant.into(), &ExtractRequest { mail_id: MailId::random() }).unwrap()
}

async fn append(scene: &Scene, job: &NewJob) -> postrider_shared::ids::OutboxId {
    let tx = scene.database.write().await.unwrap();
    let id = scene.stores.outbox.append(&tx, scene.tenant, job).await.unwrap();
    tx.commit().await.unwrap();
    id
}

async fn sweep(scene: &Scene, tray: &Tray) -> Relayed {
    Sweep::new(scene.stores.outbox.clone(), tray, 10).step().await.unwrap().relayed
}

async fn a_job_reaches_the_queue_only_if_its_transaction_commits(scene: Scene) {
    let tray = Tray::default();
    let relay = Relay::new(scene.stores.outbox.clone(), &tray);
    let tx = scene.database.write().await.unwrap();
    scene.stores.outbox.append(&tx, scene.tenant, &job(&scene)).await.unwrap();
    assert!(scene.stores.outbox.append(&tx, scene.stranger, &job(&scene)).await.is_err(), "another tenant's job");
    tx.rollback().await.unwrap();
    assert_eq!(sweep(&scene, &tray).await, Relayed::default());

    let job = job(&scene);
    let entry = append(&scene, &job).await;
    assert_eq!(relay.relay(scene.tenant, &[entry]).await.unwrap().enqueued, 1);
    assert_eq!(sweep(&scene, &tray).await, Relayed::default(), "it is marked");
    let expected = job.with_id(relay.job_id(scene.tenant, entry));
    assert_eq!(*tray.taken.lock().unwrap(), [expected]);
}

async fn an_answer_that_was_lost_repeats_the_same_job(scene: Scene) {
    let tray = Tray { lose_answers: Mutex::new(1), ..Tray::default() };
    let relay = Relay::new(scene.stores.outbox.clone(), &tray);
    let entry = append(&scene, &job(&scene)).await;
    let error = relay.relay(scene.tenant, &[entry]).await.unwrap_err();
    assert!(error.is_transient());
    assert_eq!(sweep(&scene, &tray).await.enqueued, 1);
    assert_eq!(tray.taken.lock().unwrap().len(), 1, "created once");
}

async fn one_malformed_entry_stops_nobody(scene: Scene) {
    let tray = Tray::default();
    append(&scene, &job(&scene)).await;
    let scope = postrider_queue::ScopeKey::parse("s").unwrap();
    let lane = Lane { scopes: vec![scope; Lane::MAX_SCOPES + 1], ..Lane::default() };
    let echo = DiagnosticEcho { data: serde_json::Value::Null, lane: Some(lane) };
    append(&scene, &NewJob::of(scene.tenant.into(), &echo).unwrap()).await;
    append(&scene, &job(&scene)).await;
    assert_eq!(sweep(&scene, &tray).await, Relayed { enqueued: 2, refused: 1 });
    assert!(scene.stores.outbox.waiting(AllTenants, 10).await.unwrap().is_empty());
}

async fn relayed_entries_are_pruned(scene: Scene) {
    let tray = Tray::default();
    for _ in 0..2 {
        append(&scene, &job(&scene)).await;
    }
    assert_eq!(sweep(&scene, &tray).await.enqueued, 2);
    append(&scene, &job(&scene)).await;
    scene.clock.advance(std::time::Duration::from_mins(1));
    let outbox = &scene.stores.outbox;
    assert_eq!(outbox.prune(AllTenants, scene.now(), 1).await.unwrap(), 1);
    assert_eq!(outbox.prune(AllTenants, scene.now(), 10).await.unwrap(), 1);
    assert_eq!(outbox.prune(AllTenants, scene.now(), 10).await.unwrap(), 0);
    assert_eq!(outbox.waiting(AllTenants, 10).await.unwrap().len(), 1, "what waits stays");
}
