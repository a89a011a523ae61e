//! One of two Redis servers is away: the tenants of the other one do not notice.

use std::time::Duration;

use postrider_queue::{ListFilter, NewJob, Tenant};
use postrider_scheduler::{
    archiver::Archiver,
    drafts::Drafts,
    duty::{Duty, DutyError, Step},
    feeder::Feeder,
    sweeper::Sweeper,
    timetable::Timetable,
};
use postrider_shared::{
    accounts::Account,
    config::ObjectsConfig,
    database::AllTenants,
    dead_letters::{DeadLetterFilter, DeadLetterState},
    ids::TenantId,
    jobs::diagnostic::DiagnosticEcho,
    objects::Objects,
    payloads::{PayloadSweep, Payloads},
    tenants::{Pauses, TenantSettings, TenantState},
};
use postrider_tests::{DatabaseKind, RedisServer};
use sea_orm::ConnectionTrait;

use crate::office::Office;

const INTERVAL: Duration = Duration::from_mins(10);

/// Whose server is which.
struct Tenants {
    stays: Vec<TenantId>,
    goes: Vec<TenantId>,
}

/// With two tenants on each server, by the servers' places in `REDIS_URL`.
async fn open() -> (Office, RedisServer, Tenants) {
    let (office, second) = Office::on_two_servers(DatabaseKind::Sqlite).await;
    let (mut stays, mut goes) = (Vec::new(), Vec::new());
    while stays.len() < 2 || goes.len() < 2 {
        let tenant = office.stores.tenants.create(TenantSettings::named("One of several")).await.unwrap().id;
        let home = office.queue.home_of(office.queue.shard_of(&tenant.into()));
        if home == 0 { stays.push(tenant) } else { goes.push(tenant) }
    }
    (office, second, Tenants { stays, goes })
}

/// Mailboxes of tenants on both servers, mixed.
async fn mailboxes(office: &Office, tenants: &Tenants, of_each: usize) -> Vec<Account> {
    let mut living = Vec::new();
    for number in 0..of_each {
        let name = |place: &str| format!("{place}{number}@harbourlane.example");
        let goes = tenants.goes[number % tenants.goes.len()];
        office.account_of(goes, &name("goes"), INTERVAL, 250).await;
        let stays = tenants.stays[number % tenants.stays.len()];
        living.push(office.account_of(stays, &name("stays"), INTERVAL, 250).await);
    }
    living
}

/// A look through all that there is, as [`keep`](postrider_scheduler::duty::keep) takes it. Whether some of it failed.
async fn round(duty: &mut impl Duty) -> bool {
    let mut failed = false;
    for _ in 0..10 {
        let step = match duty.step().await {
            Ok(step) => step,
            Err(DutyError::Partly { step, .. }) => {
                failed = true;
                step
            }
            Err(error) => panic!("nobody had a turn: {error}"),
        };
        if step == Step::Rest {
            return failed;
        }
    }
    panic!("there is no end of it");
}

async fn jobs_of(office: &Office, tenants: &[TenantId]) -> usize {
    let mut jobs = 0;
    for tenant in tenants {
        let (tenant, mut cursor) = (Tenant::from(*tenant), None);
        loop {
            let page = office.queue.list(&tenant, &ListFilter::default(), cursor, 200).await.unwrap();
            jobs += page.items.len();
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
    }
    jobs
}

/// More than a page of each.
#[tokio::test]
async fn mailboxes_are_read() {
    let (office, second, tenants) = open().await;
    mailboxes(&office, &tenants, 520).await;
    second.kill();
    let mut timetable = Timetable::new(office.stores.clone(), office.queue.clone(), office.clock.clone());
    assert!(round(&mut timetable).await);
    assert_eq!(jobs_of(&office, &tenants.stays).await, 520);
    second.restart().await;
    let again = postrider_tests::wait::eventually("the queue to answer", async || office.queue.ping().await.ok());
    again.await;
    assert!(!round(&mut timetable).await);
    assert_eq!(jobs_of(&office, &tenants.goes).await, 520, "nothing is missed");
}

#[tokio::test]
async fn drafts_are_tended() {
    let (office, second, tenants) = open().await;
    mailboxes(&office, &tenants, 20).await;
    let google = "UPDATE accounts SET transport = 'gmail', login = 'google'";
    office.database.reader().execute_unprepared(google).await.unwrap();
    second.kill();
    let (accounts, messages) = (office.stores.accounts.clone(), office.stores.messages.clone());
    let mut drafts = Drafts::new(accounts, messages, office.queue.clone(), office.clock.clone());
    assert!(round(&mut drafts).await);
    assert_eq!(jobs_of(&office, &tenants.stays).await, 20);
}

/// The other server takes connections and says nothing, so that each question to it takes its time.
#[tokio::test]
async fn caps_are_told() {
    let (office, second, tenants) = open().await;
    let living = mailboxes(&office, &tenants, 40).await;
    second.process().pause();
    let mut feeder = Feeder::new(office.stores.clone(), office.queue.clone(), office.clock.clone());
    // As long as a step may take.
    let failed = tokio::time::timeout(Duration::from_secs(60), round(&mut feeder)).await;
    assert_eq!(failed, Ok(true));
    for account in living {
        let scope = office.queue.scope(&Tenant::from(account.tenant_id), &account.scope()).await.unwrap();
        assert!(scope.is_some(), "{}", account.id);
    }
    second.process().resume();
}

#[tokio::test]
async fn suspended_tenants_rest() {
    let (office, second, tenants) = open().await;
    for tenant in tenants.stays.iter().chain(&tenants.goes) {
        office.stores.tenants.move_on(*tenant, TenantState::Active, TenantState::Suspended).await.unwrap();
    }
    second.kill();
    let pauses = Pauses::new(office.stores.tenants.clone(), office.queue.clone());
    assert!(pauses.compare().await.is_err());
    for tenant in &tenants.stays {
        let shard = office.queue.shard_of(&(*tenant).into());
        assert!(office.queue.paused_tenants(shard).await.unwrap().contains(&tenant.to_string()));
    }
}

/// More than a step takes wait for the server that is away, and waited longer than the others.
#[tokio::test]
async fn payloads_are_swept() {
    let (office, second, tenants) = open().await;
    let objects = Objects::open(&ObjectsConfig::at("memory:///")).unwrap();
    let payloads = Payloads::new(office.database.clone(), objects.clone(), office.clock.clone());
    let store = async |tenant: TenantId| {
        let job = office.queue.job_id(&tenant.into());
        let stored = payloads.store(tenant, job, b"{}".to_vec()).await.unwrap();
        stored.key(&tenant.into())
    };
    let mut waiting = Vec::new();
    for number in 0..120 {
        waiting.push(store(tenants.goes[number % tenants.goes.len()]).await);
    }
    office.clock.advance(Duration::from_secs(1));
    let forgotten = store(tenants.stays[0]).await;
    second.kill();
    office.clock.advance(Duration::from_hours(2));
    let sweep = || PayloadSweep::new(payloads.clone(), office.stores.dead_letters.clone(), office.queue.clone());
    let mut sweeper = Sweeper::new(sweep());
    assert!(round(&mut sweeper).await);
    assert!(objects.get(&forgotten).await.is_err(), "it waits for the other server");
    for key in &waiting {
        assert!(objects.get(key).await.is_ok(), "{key}: nobody knows whether its job is there");
    }
    second.restart().await;
    postrider_tests::wait::eventually("the queue to answer", async || office.queue.ping().await.ok()).await;
    office.clock.advance(Duration::from_hours(1));
    assert!(!round(&mut sweeper).await);
    for key in &waiting {
        assert!(objects.get(key).await.is_err(), "{key} was forgotten");
    }
}

/// Letters whose redrive a killed process left half-way.
async fn half_redriven(office: &Office, tenant: TenantId, many: usize) {
    let echo = DiagnosticEcho { data: serde_json::Value::Null, lane: None };
    let mut letters = Vec::new();
    for _ in 0..many {
        let id = office.queue.job_id(&tenant.into());
        office.queue.enqueue(NewJob::of(tenant.into(), &echo).unwrap().with_id(id)).await.unwrap();
        let record = office.queue.get(id).await.unwrap().unwrap();
        let died_at = office.clock.now();
        let error = "no".to_owned();
        letters.push(postrider_queue::DeadLetter { record, death_number: 1, attempts: 1, error, died_at });
    }
    let stored = &office.stores.dead_letters;
    stored.archive(AllTenants, &letters).await.unwrap();
    for letter in letters {
        let row = stored.of_job(tenant, &letter.record.id.to_string()).await.unwrap().unwrap();
        stored.begin_redrive(tenant, row.id, None).await.unwrap();
    }
}

/// More than a step takes wait for the server that is away, and began before the others.
#[tokio::test]
async fn redrives_are_ended() {
    let (office, second, tenants) = open().await;
    half_redriven(&office, tenants.goes[0], 300).await;
    office.clock.advance(Duration::from_secs(1));
    half_redriven(&office, tenants.stays[0], 1).await;
    office.clock.advance(Duration::from_mins(1));
    second.kill();
    let mut archiver = Archiver::new(office.stores.dead_letters.clone(), office.queue.clone(), office.clock.clone());
    for _ in 0..2 {
        let _ = archiver.step().await;
    }
    let waiting = async |tenant: TenantId| {
        let half = DeadLetterFilter { state: Some(DeadLetterState::Redriving), ..DeadLetterFilter::default() };
        office.stores.dead_letters.list(tenant, &half, None, 200).await.unwrap().items.len()
    };
    assert_eq!(waiting(tenants.stays[0]).await, 0, "it waits for the other server");
    second.restart().await;
    postrider_tests::wait::eventually("the queue to answer", async || office.queue.ping().await.ok()).await;
    for _ in 0..3 {
        archiver.step().await.unwrap();
    }
    assert_eq!(waiting(tenants.goes[0]).await, 0);
}
