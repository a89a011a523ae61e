use std::{collections::BTreeSet, time::Duration};

use postrider_queue::Cancelled;
use postrider_scheduler::timetable::Timetable;
use postrider_shared::database::AllTenants;

use crate::office::{Office, rounds};

on_both_databases![
    two_replicas_start_each_occurrence_once,
    an_outage_of_a_day_is_caught_up_with_one_run,
    a_mailbox_whose_run_has_not_ended_is_not_started_again,
    an_occurrence_its_planner_could_not_enqueue_is_enqueued_by_the_next,
    a_paused_mailbox_rests_and_is_read_at_once_when_resumed,
];

const INTERVAL: Duration = Duration::from_mins(10);

fn timetable(office: &Office) -> Timetable {
    Timetable::new(office.stores.clone(), office.queue.clone(), office.clock.clone())
}

/// Ends all waiting jobs, as workers would.
async fn end_jobs(office: &Office) {
    for job in office.jobs().await.iter().filter(|job| !job.state.is_finished()) {
        assert_eq!(office.queue.cancel(job.id).await.unwrap(), Cancelled::Now);
    }
}

async fn two_replicas_start_each_occurrence_once(office: Office) {
    for n in 0..20 {
        office.account(&format!("box{n}@harbourlane.example"), INTERVAL, 250).await;
    }
    let (mut one, mut other) = (timetable(&office), timetable(&office));
    for round in 1..=4 {
        tokio::join!(rounds(&mut one), rounds(&mut other));
        let jobs = office.jobs().await;
        assert_eq!(jobs.len(), 20 * round, "each of 20 mailboxes once per interval");
        let payloads: BTreeSet<_> = jobs.iter().map(|job| job.id.to_string()).collect();
        assert_eq!(payloads.len(), jobs.len());
        end_jobs(&office).await;
        // Within the interval nothing more is due.
        rounds(&mut one).await;
        assert_eq!(office.jobs().await.len(), 20 * round);
        office.clock.advance(INTERVAL);
    }
    assert!(office.stores.occurrences.waiting(AllTenants, 10).await.unwrap().is_empty());
}

async fn an_outage_of_a_day_is_caught_up_with_one_run(office: Office) {
    office.account("quotes@harbourlane.example", INTERVAL, 250).await;
    rounds(&mut timetable(&office)).await;
    end_jobs(&office).await;
    office.clock.advance(Duration::from_hours(24));
    // A new process, which knows nothing of what was.
    let mut after = timetable(&office);
    rounds(&mut after).await;
    rounds(&mut after).await;
    assert_eq!(office.jobs().await.len(), 2);
}

async fn a_mailbox_whose_run_has_not_ended_is_not_started_again(office: Office) {
    office.account("quotes@harbourlane.example", INTERVAL, 250).await;
    let mut timetable = timetable(&office);
    rounds(&mut timetable).await;
    office.clock.advance(INTERVAL);
    rounds(&mut timetable).await;
    assert_eq!(office.jobs().await.len(), 1, "the first run still waits");
    end_jobs(&office).await;
    office.clock.advance(INTERVAL);
    rounds(&mut timetable).await;
    assert_eq!(office.jobs().await.len(), 2);
}

async fn an_occurrence_its_planner_could_not_enqueue_is_enqueued_by_the_next(office: Office) {
    office.account("quotes@harbourlane.example", INTERVAL, 250).await;
    let mut killed = timetable(&office);
    office.redis.kill();
    let failed = postrider_scheduler::duty::Duty::step(&mut killed).await;
    assert!(failed.is_err(), "{failed:?}");
    assert_eq!(office.stores.occurrences.waiting(AllTenants, 10).await.unwrap().len(), 1, "planned, not enqueued");
    office.redis.restart().await;
    let next = postrider_tests::wait::eventually("the queue to answer", async || office.queue.ping().await.ok());
    next.await;
    rounds(&mut timetable(&office)).await;
    assert_eq!(office.jobs().await.len(), 1);
    assert!(office.stores.occurrences.waiting(AllTenants, 10).await.unwrap().is_empty());
}

async fn a_paused_mailbox_rests_and_is_read_at_once_when_resumed(office: Office) {
    let account = office.account("quotes@harbourlane.example", INTERVAL, 250).await;
    let mut timetable = timetable(&office);
    rounds(&mut timetable).await;
    end_jobs(&office).await;
    office.stores.accounts.pause(office.tenant, account.id, "holidays").await.unwrap();
    office.clock.advance(INTERVAL);
    rounds(&mut timetable).await;
    assert_eq!(office.jobs().await.len(), 1);
    office.stores.accounts.resume(office.tenant, account.id).await.unwrap();
    rounds(&mut timetable).await;
    assert_eq!(office.jobs().await.len(), 2);
}
