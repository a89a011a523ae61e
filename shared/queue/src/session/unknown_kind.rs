//! Jobs of a kind that no worker of this process knows.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Settling, Token};
use crate::record::JobRecord;

/// A kind that nobody here knows may be known by a newer worker that is starting: the job is offered again at this distance,
/// for a week (`lua/lib/singly.lua`), because an upgrade may take days and nothing may be lost by it.
const AGAIN_AFTER: TimeDelta = TimeDelta::seconds(10);

/// Puts a job of such a kind off.
pub(super) fn settle(record: &JobRecord, token: Token, now: DateTime<Utc>) -> Settling {
    let reason = format!("no worker knows the kind {}", record.kind);
    Settling::put_off(record.id, record.epoch, token, now + AGAIN_AFTER, reason)
}

#[cfg(test)]
mod tests {
    use super::{
        super::in_slices::{job, open, take},
        *,
    };
    use crate::{
        client::QueueClient,
        job::NewJob,
        lane::Lane,
        leaping::Server,
        name::{LaneName, ScopeKey},
        record::JobState,
        scope::{CapSpec, ScopeLimits},
    };

    const DAY: u64 = 86_400_000;

    /// A worker that does not know the kind meets the job once more, so many days after the first.
    async fn met(server: &Server, client: &QueueClient, sequence: u64, days: u64) -> (JobState, u32, u32) {
        server.leap(days * DAY + 60_000 * sequence);
        open(client).await;
        client.tick().await.unwrap();
        let claimed = take(client, 2 * sequence, 1, Vec::new()).await.1;
        let (now, record) = (claimed.now, claimed.read().unwrap().records.remove(0));
        let outcome = settle(&record, super::super::in_slices::NAME, now);
        take(client, 2 * sequence + 1, 0, vec![outcome]).await;
        let record = client.get(record.id).await.unwrap().unwrap();
        (record.state, record.attempt, record.snoozes)
    }

    #[tokio::test]
    async fn a_job_outlasts_an_upgrade_but_is_not_kept_for_ever() {
        let server = Server::start();
        let client = server.client().await;
        client.enqueue(job()).await.unwrap();
        for sequence in 1..100 {
            assert_eq!(met(&server, &client, sequence, 0).await, (JobState::Scheduled, 0, 0));
        }
        // On the 20th day another upgrade begins, and nobody comes who knows it.
        for (sequence, day) in (100..).zip([2, 4, 6, 20, 22, 24, 26]) {
            assert_eq!(met(&server, &client, sequence, day).await, (JobState::Scheduled, 0, 0), "on day {day}");
        }
        assert_eq!(met(&server, &client, 110, 28).await.0, JobState::Dead);
    }

    /// The run that reserved the unit may have used it.
    #[tokio::test]
    async fn the_unit_of_a_run_that_was_cut_off_is_not_given_back() {
        let server = Server::start();
        let client = server.client().await;
        let (lane, scope) = (LaneName::default(), ScopeKey::parse("mailbox:a").unwrap());
        let job = NewJob { lane: Lane::with_scopes(lane, vec![scope.clone()]), ..job() };
        let limits = ScopeLimits::caps(vec![CapSpec::moving(1, std::time::Duration::from_hours(24))]);
        client.define_scope(&job.tenant, &scope, &limits).await.unwrap();
        let tenant = job.tenant.clone();
        client.enqueue(job).await.unwrap();
        open(&client).await;
        assert_eq!(take(&client, 1, 1, Vec::new()).await.1.read().unwrap().records.len(), 1);
        server.leap(3_700_000);
        for _ in 0..8 {
            client.tick().await.unwrap();
        }
        assert_eq!(met(&server, &client, 70, 0).await.0, JobState::Scheduled);
        let state = client.scope(&tenant, &scope).await.unwrap().unwrap();
        assert_eq!((state.reserved, state.caps[0].used), (0, 1));
    }
}
