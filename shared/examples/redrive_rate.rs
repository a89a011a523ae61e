//! How fast many dead letters are redriven on this machine, by the steps that the job `settle_dead_letters` takes.
//!
//! ```text
//! cargo run --release -p postrider-shared --example redrive_rate redis://127.0.0.1:6390 'sqlite:///tmp/new.db?mode=rwc' [letters]
//! ```
//! It fills the Redis and the database it is given, so give it empty ones.

use std::time::Instant;

use postrider_migration::{Migrator, MigratorTrait};
use postrider_queue::{Attempt, JobId, JobRecord, JobState, NewJob, QueueClient, QueueConfig};
use postrider_shared::{
    clock::Clock,
    config::DatabaseConfig,
    database::{AllTenants, Database},
    dead_letters::{DeadLetterFilter, Redriver},
    jobs::diagnostic::DiagnosticEcho,
    stores::Stores,
    tenants::TenantSettings,
};

type Failure = Box<dyn std::error::Error>;

/// As the job takes them.
const STEP: u64 = 500;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    tracing_subscriber::fmt().with_target(false).without_time().init();
    let mut args = std::env::args().skip(1);
    let usage = "usage: redrive_rate REDIS_URL DATABASE_URL [letters]";
    let (redis, database) = (args.next().ok_or(usage)?, args.next().ok_or(usage)?);
    let many: u64 = args.next().map_or(Ok(100_000), |text| text.parse())?;
    let queue = QueueClient::connect(QueueConfig::new(redis)).await?;
    let database = Database::connect(&DatabaseConfig::at(&database)).await?;
    Migrator::up(database.reader(), None).await?;
    let clock = Clock::system();
    let stores = Stores::new(&database, &clock, None);
    let tenant = stores.tenants.create(TenantSettings::named("Bench")).await?.id;

    let echo = DiagnosticEcho { data: "x".repeat(180).into(), lane: None };
    let job = NewJob::of(tenant.into(), &echo)?;
    let shard = queue.shard_of(&job.tenant);
    let letter = |number: u64| postrider_queue::DeadLetter {
        death_number: number,
        error: format!("no answer after {number} s"),
        attempts: 10,
        died_at: clock.now(),
        record: JobRecord {
            id: JobId::derived(shard, &["letter", &number.to_string()]),
            tenant: job.tenant.clone(),
            kind: job.kind.clone(),
            queue: job.queue.clone(),
            lane: job.lane.clone(),
            priority: postrider_queue::Priority::Normal,
            state: JobState::Dead,
            attempt: 10,
            max_attempts: 10,
            snoozes: 0,
            epoch: 10,
            crashes: 0,
            cancel_requested: false,
            payload: job.payload.clone(),
            output: None,
            progress: None,
            error: None,
            enqueued_at: clock.now(),
            run_at: clock.now(),
            started_at: None,
            finished_at: None,
            unique_key: None,
            unique_for: job.unique_for,
            links: job.links,
            recipient: None,
            history: vec![
                Attempt {
                    started_at: clock.now(),
                    duration: std::time::Duration::from_secs(1),
                    error: "no answer after 1 s".to_owned(),
                };
                10
            ],
            log_lines: 0,
        },
    };
    let started = Instant::now();
    for from in (0..many).step_by(1_000) {
        let letters: Vec<_> = (from..many.min(from + 1_000)).map(letter).collect();
        stores.dead_letters.archive(AllTenants, &letters).await?;
    }
    tell("archived", many, started);

    let redriver = Redriver::new(stores.dead_letters.clone(), queue);
    let started = Instant::now();
    let (mut settled, mut place) = (0, None);
    loop {
        let step = redriver.redrive_many(tenant, &DeadLetterFilter::default(), None, place, STEP).await?;
        settled += step.settled;
        place = step.next;
        if place.is_none() {
            break;
        }
    }
    tell("redriven", settled, started);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn tell(what: &str, letters: u64, started: Instant) {
    tracing::info!("{what} {letters} letters, {:.0} per second", letters as f64 / started.elapsed().as_secs_f64());
}
