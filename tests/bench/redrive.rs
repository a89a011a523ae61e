//! Dead letters by the hundred thousand: from Redis to rows of the database, as the scheduler archives them, and back to the
//! queue, as the job `settle_dead_letters` redrives them by a filter. On each database alone, with every commit on disk; next
//! to a bulk enqueue of the same jobs, which is what a redrive cannot beat.

use std::sync::Arc;
use std::time::{Duration, Instant};

use apalis::prelude::WorkerBuilder;
use clap::ValueEnum;
use postrider_queue::{
    Attempt, Claimed, Job as _, JobId, Lane, Links, NewJob, Policy, QueueBackend, QueueClient, Stop, WorkerConfig,
};
use postrider_shared::clock::Clock;
use postrider_shared::config::DatabaseConfig;
use postrider_shared::database::{AllTenants, Database};
use postrider_shared::dead_letters::{DeadLetterFilter, DeadLetterState, Edit, Redriver, STEP};
use postrider_shared::ids::TenantId;
use postrider_shared::stores::Stores;
use postrider_shared::tenants::TenantSettings;
use postrider_tests::runs::created;
use postrider_tests::wait::within;
use postrider_tests::{DatabaseKind, Report, TestDatabase};

use crate::bed::{Bed, rate};
use crate::parcel::Parcel;

const DEADLINE: Duration = Duration::from_secs(600);
/// As the scheduler takes them.
const ARCHIVED_AT_ONCE: usize = 256;
/// Attempts of a job that dies of the policy that kinds have by default.
const ATTEMPTS: usize = 10;

/// Which databases take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Databases {
    Both,
    Sqlite,
    Postgres,
}

impl Databases {
    pub fn kinds(self) -> Vec<(&'static str, DatabaseKind)> {
        let [sqlite, postgres] = [("sqlite", DatabaseKind::Sqlite), ("postgres", DatabaseKind::Postgres)];
        match self {
            Self::Both => vec![sqlite, postgres],
            Self::Sqlite => vec![sqlite],
            Self::Postgres => vec![postgres],
        }
    }
}

pub async fn run(letters: usize, databases: Databases, appendfsync: Option<&str>) -> Report {
    let mut report = Report::new("redrive");
    report.figure("letters", letters);
    for (name, kind) in databases.kinds() {
        let bed = Bed::start(appendfsync).await;
        let database = TestDatabase::durable(kind, bed.folder()).await;
        round(&mut report, name, letters, &bed, &database).await;
    }
    report
}

async fn round(report: &mut Report, name: &str, letters: usize, bed: &Bed, database: &TestDatabase) {
    let client = bed.client().await;
    let database = Database::connect(&DatabaseConfig::at(database.url())).await.expect("connect to the database");
    let stores = Stores::new(&database, &Clock::system(), None);
    let tenant = stores.tenants.create(TenantSettings::named("Bench")).await.expect("a tenant").id;

    let jobs: Vec<NewJob> = (0..letters).map(|number| job(&client, tenant, number)).collect();
    let started = Instant::now();
    let answers = client.enqueue_many(jobs).await.expect("enqueue");
    let enqueued = rate(letters, started.elapsed());
    assert_eq!(created(&answers).len(), letters, "every job was accepted");
    bury_all(&client, letters).await;
    bed.quiet().await;

    let started = Instant::now();
    let archived = archive(&client, &stores, tenant).await;
    let archived_per_s = rate(archived, started.elapsed());

    let redriver = Redriver::new(stores.dead_letters.clone(), client.clone());
    let started = Instant::now();
    let settled = redrive(&redriver, tenant).await;
    let redriven_per_s = rate(settled, started.elapsed());
    let waiting = client.queue(&Parcel::QUEUE).await.expect("the queue's figures").available;
    let group = stores.dead_letters.groups(tenant, &of(DeadLetterState::Redriven), 2).await.expect("groups");
    let rows: i64 = group.iter().map(|group| group.letters).sum();

    report
        .decimal(&format!("{name}_enqueued_per_s"), enqueued)
        .decimal(&format!("{name}_archived_per_s"), archived_per_s)
        .decimal(&format!("{name}_redriven_per_s"), redriven_per_s)
        .decimal(&format!("{name}_redriven_to_enqueued"), redriven_per_s / enqueued)
        .must(&format!("{name}: every dead job became a row"), archived == letters)
        .must(&format!("{name}: every row says that it was redriven"), usize::try_from(rows) == Ok(letters))
        .must(&format!("{name}: every job is in the queue again, once"), usize::try_from(waiting) == Ok(letters));
}

/// A job with a link, as every redriven one has it.
fn job(client: &QueueClient, tenant: TenantId, number: usize) -> NewJob {
    let parcel = Parcel::new(u32::try_from(number).unwrap_or(u32::MAX), 0);
    let mut job = NewJob::of(tenant.into(), &parcel).expect("a job").lane(Lane::default());
    let shard = client.shard_of(&job.tenant);
    job.links = Links { redriven_from: Some(JobId::derived(shard, &["before"])), ..Links::default() };
    job
}

/// A bare worker fails every job for good.
async fn bury_all(client: &QueueClient, letters: usize) {
    let policies = |kind: &str| (kind == Parcel::KIND.as_str()).then(Policy::of::<Parcel>);
    let backend = QueueBackend::new(client, WorkerConfig::new(vec![Parcel::QUEUE], 512), Arc::new(policies));
    let session = backend.handle();
    let handler = |job: Claimed| async move {
        let parcel: Parcel = serde_json::from_slice(&job.payload).map_err(Stop::fail)?;
        postrider_queue::Outcome::Err(Stop::fail(format!("no answer after {} s", parcel.number)))
    };
    let worker = WorkerBuilder::new("bench").backend(backend).build(handler);
    let dead = within(DEADLINE, "every job to be dead", || async {
        let stats = client.queue(&Parcel::QUEUE).await.ok()?;
        (usize::try_from(stats.dead) == Ok(letters)).then_some(())
    });
    tokio::select! {
        ended = worker.run() => ended.expect("the worker works until it is stopped"),
        () = dead => {}
    }
    session.close(Duration::from_secs(10)).await.expect("close the session");
}

/// As the scheduler does it. Each letter is given as many attempts as a job has that is not buried by its first.
async fn archive(client: &QueueClient, stores: &Stores, tenant: TenantId) -> usize {
    let shard = client.shard_of(&tenant.into());
    let mut archived = 0;
    loop {
        let mut letters = client.dead(shard, ARCHIVED_AT_ONCE).await.expect("read the dead");
        if letters.is_empty() {
            return archived;
        }
        for letter in &mut letters {
            let attempt: Attempt = letter.record.history.first().expect("the attempt that failed").clone();
            letter.record.history = vec![attempt; ATTEMPTS];
        }
        let told = stores.dead_letters.archive(AllTenants, &letters).await.expect("write the rows");
        client.dead_archived(&told).await.expect("tell the queue");
        archived += told.len();
    }
}

async fn redrive(redriver: &Redriver, tenant: TenantId) -> usize {
    let (mut settled, mut place) = (0, None);
    loop {
        let step = redriver.redrive_many(tenant, &DeadLetterFilter::default(), &Edit::AsItDied, place, STEP).await;
        let step = step.expect("redrive");
        settled += step.settled;
        place = step.next;
        if place.is_none() {
            return usize::try_from(settled).unwrap_or(usize::MAX);
        }
    }
}

fn of(state: DeadLetterState) -> DeadLetterFilter {
    DeadLetterFilter { state: Some(state), ..DeadLetterFilter::default() }
}
