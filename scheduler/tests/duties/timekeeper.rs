use std::time::Duration;

use chrono::TimeDelta;
use postrider_scheduler::roster::Roster;
use postrider_shared::{
    clock::Clock,
    config::{IssuersConfig, LimitsConfig, ObjectsConfig, Settings},
    objects::Objects,
    payloads::Payloads,
    stores::Stores,
};
use postrider_tests::{DatabaseKind, wait::eventually};
use tokio_util::sync::CancellationToken;

use crate::office::Office;

const INTERVAL: Duration = Duration::from_mins(10);

/// The machine's clock is hours ahead of Redis's, and of everybody's.
#[tokio::test]
async fn a_scheduler_whose_clock_is_ahead_delays_no_poll() {
    let office = Office::open(DatabaseKind::Sqlite).await;
    office.account("quotes@harbourlane.example", INTERVAL, 250).await;
    let machine = Clock::manual(office.clock.now() + TimeDelta::hours(5));
    let clock = machine.bounded();
    let objects = Objects::open(&ObjectsConfig::at("memory:///")).unwrap();
    let roster = Roster {
        stores: Stores::new(&office.database, &clock, None),
        payloads: Payloads::new(office.database.clone(), objects, clock.clone()),
        queue: office.queue.clone(),
        clock: clock.clone(),
        tick: Duration::from_millis(50),
        limits: Settings::of([]).read::<LimitsConfig>().unwrap(),
        issuers: Settings::of([]).read::<IssuersConfig>().unwrap(),
        audit_retention: TimeDelta::days(365),
    };
    let stop = CancellationToken::new();
    let planned = eventually("the mailbox's first run", async || {
        let jobs = office.jobs().await;
        let run = jobs.iter().find(|job| job.kind.as_str() == "poll_mailbox")?;
        stop.cancel();
        Some(run.clone())
    });
    let ((), run) = tokio::join!(roster.keep(&stop), planned);
    let now = Clock::system().now();
    assert!(run.run_at <= now + TimeDelta::seconds(40), "at {}, and it is {now}", run.run_at);
    assert!(clock.now() <= now + TimeDelta::seconds(40));
}
