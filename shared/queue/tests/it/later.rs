//! Jobs that wait for a time far away.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use postrider_queue::{Cancelled, JobState, ListFilter, NewJob, Promoted, Stop};

use crate::server::{Server, WORK, config, done, job, tenant, until, until_state, work};

async fn due(server: &Server) -> i64 {
    redis::cmd("ZCARD").arg("{pr:0}:1:due").query_async(&mut server.redis().await).await.unwrap()
}

#[tokio::test]
async fn a_job_of_any_date_runs_at_its_time_and_not_before() {
    let server = Server::start_at("@2026-03-01 12:00:00").await;
    let client = server.client().await;
    let start: DateTime<Utc> = "2026-03-01T12:00:00Z".parse().unwrap();
    let dates = [
        start + TimeDelta::minutes(30),
        start + TimeDelta::hours(5),
        start + TimeDelta::days(40),
        "9999-12-31T23:59:59Z".parse().unwrap(),
    ];
    let mut ids = Vec::new();
    for date in dates {
        ids.push(client.enqueue(job("acme").run_at(date)).await.unwrap().id());
    }
    assert_eq!(due(&server).await, 1, "only what is near stands in the sorted set");
    let worker = work(&client, config(4), |_| async { done() });
    for (place, date) in dates.iter().enumerate().take(3) {
        if place == 2 {
            // Its wide bucket is opened into narrow ones, although its time is late in it.
            server.set_clock("@2026-04-01 00:00:00");
            until("the bucket is opened two days ahead", || async {
                let late: i64 = redis::cmd("EXISTS")
                    .arg("{pr:0}:1:later:d1284")
                    .query_async(&mut server.redis().await)
                    .await
                    .unwrap();
                (late == 0).then_some(())
            })
            .await;
        }
        server.set_clock(&format!("@{}", (*date - TimeDelta::seconds(2)).format("%Y-%m-%d %H:%M:%S")));
        until_state(&client, ids[place], JobState::Completed).await;
        let record = client.get(ids[place]).await.unwrap().unwrap();
        assert!(record.started_at.unwrap() >= *date, "{record:?}");
        assert_eq!(client.get(ids[3]).await.unwrap().unwrap().state, JobState::Scheduled);
    }
    // Years pass while nobody is at work, and then more than one bucket is late.
    server.set_clock("@9999-12-30 23:59:57");
    until("the last bucket is opened two days ahead", || async {
        let late: i64 =
            redis::cmd("EXISTS").arg("{pr:0}:1:later:d183306").query_async(&mut server.redis().await).await.unwrap();
        (late == 0).then_some(())
    })
    .await;
    assert_eq!(client.get(ids[3]).await.unwrap().unwrap().state, JobState::Scheduled);
    server.set_clock("@9999-12-31 23:59:57");
    until_state(&client, ids[3], JobState::Completed).await;
    worker.stop().await;
}

#[tokio::test]
async fn far_jobs_are_cancelled_promoted_and_snoozed_like_near_ones() {
    let server = Server::start_at("@2026-03-01 12:00:00").await;
    let client = server.client().await;
    let start: DateTime<Utc> = "2026-03-01T12:00:00Z".parse().unwrap();
    // Kept until it is looked at: the clock leaps by hours meanwhile.
    let far = || NewJob { keep: Duration::from_hours(24), ..job("acme") }.run_at(start + TimeDelta::hours(6));
    let cancelled = client.enqueue(far()).await.unwrap().id();
    let promoted = client.enqueue(far()).await.unwrap().id();
    assert_eq!(client.cancel(cancelled).await.unwrap(), Cancelled::Now);
    assert_eq!(client.promote(promoted).await.unwrap(), Promoted::Now);
    // The promoted one puts itself off beyond the bucket in which its id still stands.
    let until_day = start + TimeDelta::days(20);
    let worker = work(&client, config(4), move |claimed| async move {
        if claimed.snoozes == 0 { Err(postrider_queue::Stop::snooze(until_day, "far")) } else { done() }
    });
    until_state(&client, promoted, JobState::Scheduled).await;
    server.set_clock("@2026-03-01 18:00:10");
    let witness = client.enqueue(job("acme").run_at(start + TimeDelta::hours(7))).await.unwrap().id();
    server.set_clock("@2026-03-01 19:00:00");
    until_state(&client, witness, JobState::Scheduled).await;
    assert_eq!(client.get(promoted).await.unwrap().unwrap().state, JobState::Scheduled);
    assert_eq!(client.get(cancelled).await.unwrap().unwrap().state, JobState::Cancelled);
    server.set_clock("@2026-03-21 11:59:59");
    until_state(&client, promoted, JobState::Completed).await;
    until_state(&client, witness, JobState::Completed).await;
    let stats = client.queue(&WORK).await.unwrap();
    assert_eq!((stats.scheduled, stats.running), (0, 0));
    worker.stop().await;
}

#[tokio::test]
async fn a_job_that_puts_itself_off_for_long_stays_in_the_lists() {
    let server = Server::start_at("@2026-01-01 00:00:00").await;
    let client = server.client().await;
    let parent = client.job_id(&tenant("acme"));
    let id = client.enqueue(job("acme").child_of(parent)).await.unwrap().id();
    let worker = work(&client, config(1), |_| async {
        Err(Stop::snooze("2026-06-01T00:00:00Z".parse().unwrap(), "the season has not begun"))
    });
    until_state(&client, id, JobState::Scheduled).await;
    worker.stop().await;
    server.set_clock("@2026-05-31 00:00:00");
    let all = ListFilter::default();
    let of_kind = ListFilter { kind: Some(job("acme").kind), ..ListFilter::default() };
    for filter in [all, of_kind] {
        let listed = client.list(&tenant("acme"), &filter, None, 10).await.unwrap().items;
        assert_eq!(listed.iter().map(|record| record.id).collect::<Vec<_>>(), [id], "{filter:?}");
    }
    assert_eq!(client.children(parent).await.unwrap().len(), 1);
}
