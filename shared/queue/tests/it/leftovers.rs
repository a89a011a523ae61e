//! What is over leaves nothing behind that costs anything.

use std::time::Duration;

use postrider_queue::{Enqueued, Lane, LaneName, NewJob, Priority, ScopeKey, ScopeLimits};

use crate::server::{Server, WORK, config, done, job, tenant, until, until_completed, work};

fn lane(name: &str) -> Lane {
    Lane::named(LaneName::parse(name).unwrap())
}

async fn exists(server: &Server, key: &str) -> bool {
    let mut redis = server.redis().await;
    redis::cmd("EXISTS").arg(format!("{{pr:0}}:1:{key}")).query_async(&mut redis).await.unwrap()
}

async fn lanes(server: &Server) -> [u64; 2] {
    let mut redis = server.redis().await;
    let mut pipe = redis::pipe();
    pipe.cmd("HLEN").arg("{pr:0}:1:lanes").cmd("HLEN").arg("{pr:0}:1:lane_ids");
    pipe.query_async(&mut redis).await.unwrap()
}

#[tokio::test]
async fn a_lane_that_only_refused_jobs_name_is_not_kept() {
    let server = Server::start().await;
    let client = server.client().await;
    let first = client.enqueue(job("acme").unique_key("one")).await.unwrap().id();
    // Beside one that is created, one that is not.
    let jobs = vec![job("acme").unique_key("two"), job("acme").unique_key("one").lane(lane("elsewhere"))];
    let answers = client.enqueue_many(jobs).await.unwrap();
    assert!(matches!(answers[..], [Enqueued::Created(_), Enqueued::UniqueTaken(_)]), "{answers:?}");
    let again = client.enqueue(job("acme").with_id(first).lane(lane("elsewhere"))).await.unwrap();
    assert_eq!(again, Enqueued::Exists(first));
    assert_eq!(lanes(&server).await, [1, 1]);
    client.enqueue(job("acme").lane(lane("elsewhere"))).await.unwrap();
    assert_eq!(lanes(&server).await, [2, 2]);
}

/// As long as there is a rule, lanes that come new have no precedence, and a lone job takes the longer way.
#[tokio::test]
async fn cancelling_a_lane_without_jobs_leaves_no_rule() {
    let server = Server::start().await;
    let client = server.client().await;
    assert_eq!(client.cancel_lane(&tenant("acme"), &WORK, &lane("campaign")).await.unwrap(), 0);
    assert!(!exists(&server, "rules").await);
    // One that is paused stays so.
    client.pause_lane(&tenant("acme"), &WORK, &lane("campaign")).await.unwrap();
    client.cancel_lane(&tenant("acme"), &WORK, &lane("campaign")).await.unwrap();
    assert!(exists(&server, "rules").await);
    client.resume_lane(&tenant("acme"), &WORK, &lane("campaign")).await.unwrap();
    assert!(!exists(&server, "rules").await);
}

#[tokio::test]
async fn places_of_priorities_go_with_the_last_job() {
    let server = Server::start().await;
    let client = server.client().await;
    let scope = ScopeKey::parse("mailbox:a").unwrap();
    client.define_scope(&tenant("limited"), &scope, &ScopeLimits::default()).await.unwrap();
    let limited = Lane::with_scopes(LaneName::default(), vec![scope]);
    for (of, lane) in [("lone", Lane::default()), ("limited", limited)] {
        let high = job(of).priority(Priority::High).lane(lane.clone());
        client.enqueue_many(vec![high, job(of).lane(lane)]).await.unwrap();
    }
    let worker = work(&client, config(1), |_| async { done() });
    until_completed(&client, 4).await;
    worker.stop().await;
    assert!(!exists(&server, "credits").await);
}

#[tokio::test]
async fn no_mark_stays_of_a_lane_that_stood_first_and_lost_its_jobs() {
    let server = Server::start().await;
    let client = server.client().await;
    let many = (0..20).map(|n| job("acme").lane(lane(&format!("lane{n}")))).collect();
    client.enqueue_many(many).await.unwrap();
    let first = NewJob { keep: Duration::from_secs(1), ..job("acme").lane(lane("first")) };
    let first = client.enqueue(first).await.unwrap().id();
    assert!(exists(&server, "ahead").await);
    client.cancel(first).await.unwrap();
    until("its record is gone", || async {
        client.tick().await.unwrap();
        client.get(first).await.unwrap().is_none().then_some(())
    })
    .await;
    let worker = work(&client, config(4), |_| async { done() });
    until_completed(&client, 20).await;
    worker.stop().await;
    assert!(!exists(&server, "ahead").await);
}
