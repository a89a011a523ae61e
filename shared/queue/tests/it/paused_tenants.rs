//! A tenant that is paused keeps all it has, and nobody else notices.

use std::time::Duration;

use postrider_queue::{JobId, JobState, Lane, LaneName, NewJob, Priority, QueueClient, ScopeKey};
use tokio::sync::watch;

use crate::server::{PATIENCE, Server, WORK, config, done, job, tenant, until, until_state, work};

async fn enqueued(client: &QueueClient, job: NewJob) -> JobId {
    client.enqueue(job).await.unwrap().id()
}

async fn state(client: &QueueClient, id: JobId) -> JobState {
    client.get(id).await.unwrap().unwrap().state
}

#[tokio::test]
async fn what_a_paused_tenant_has_waits_and_runs_when_it_is_resumed() {
    let server = Server::start().await;
    let client = server.client().await;
    let acme = tenant("acme");
    let (open, closed) = watch::channel(false);
    let worker = work(&client, config(4), move |claimed| {
        let mut closed = closed.clone();
        async move {
            if claimed.lane.name.as_str() == "slow" {
                closed.wait_for(|open| *open).await.unwrap();
            }
            done()
        }
    });
    let lane = |name| Lane::named(LaneName::parse(name).unwrap());
    let running = enqueued(&client, job("acme").lane(lane("slow"))).await;
    until_state(&client, running, JobState::Running).await;
    client.pause_tenant(&acme).await.unwrap();

    let mut waiting = Vec::new();
    for priority in Priority::ALL {
        for name in ["default", "other"] {
            waiting.push(enqueued(&client, job("acme").lane(lane(name)).priority(priority)).await);
        }
    }
    let mut redis = server.redis().await;
    let (seconds, micros): (i64, u32) = redis::cmd("TIME").query_async(&mut redis).await.unwrap();
    let soon = chrono::DateTime::from_timestamp(seconds, micros * 1_000).unwrap() + Duration::from_millis(200);
    let due = enqueued(&client, job("acme").run_at(soon)).await;
    waiting.push(due);
    // Whatever else is done meanwhile: others run, the one that runs ends, those that become due wait.
    for _ in 0..20 {
        let other = enqueued(&client, job("other")).await;
        until_state(&client, other, JobState::Completed).await;
    }
    until_state(&client, due, JobState::Available).await;
    open.send(true).unwrap();
    until_state(&client, running, JobState::Completed).await;
    let other = enqueued(&client, job("other")).await;
    until_state(&client, other, JobState::Completed).await;
    for id in &waiting {
        assert_eq!(state(&client, *id).await, JobState::Available);
    }
    let shard = client.shard_of(&acme);
    assert!(client.paused_tenants(shard).await.unwrap().contains("acme"));

    client.resume_tenant(&acme).await.unwrap();
    for id in waiting {
        until_state(&client, id, JobState::Completed).await;
    }
    assert!(client.paused_tenants(shard).await.unwrap().is_empty());
    worker.stop().await;
}

#[tokio::test]
async fn a_pause_holds_for_a_single_job_and_costs_nothing_while_it_lasts() {
    let server = Server::start().await;
    let client = server.client().await;
    let acme = tenant("acme");
    client.pause_tenant(&acme).await.unwrap();
    let ids = client.enqueue_many((0..500).map(|_| job("acme")).collect()).await.unwrap();
    let worker = work(&client, config(4), |_| async { done() });
    let other = enqueued(&client, job("other")).await;
    until_state(&client, other, JobState::Completed).await;
    // Nobody is woken for it, and it stands in no ring.
    let mut redis = server.redis().await;
    let rings: Vec<String> = redis::cmd("KEYS").arg("*ring:*").query_async(&mut redis).await.unwrap();
    assert_eq!(rings, Vec::<String>::new());
    // Paused and resumed again and again, in the midst of work, nothing is lost and nothing comes twice.
    for _ in 0..20 {
        client.resume_tenant(&acme).await.unwrap();
        client.pause_tenant(&acme).await.unwrap();
        enqueued(&client, job("acme")).await;
    }
    client.resume_tenant(&acme).await.unwrap();
    client.resume_tenant(&acme).await.unwrap();
    let all = ids.len() as u64 + 20 + 1;
    let done = async || (client.queue(&WORK).await.unwrap().completed == all).then_some(());
    tokio::time::timeout(PATIENCE, until("all have run", done)).await.unwrap();
    worker.stop().await;
}

#[tokio::test]
async fn how_long_the_oldest_job_waits_is_not_told_of_a_paused_tenant() {
    let server = Server::start().await;
    let client = server.client().await;
    let acme = tenant("acme");
    // One of its lanes is parked at a scope that nobody has defined, the other one waits for a worker.
    let scopes = vec![ScopeKey::parse("mailbox").unwrap()];
    let parked = Lane { scopes, ..Lane::named(LaneName::parse("parked").unwrap()) };
    enqueued(&client, job("acme").lane(parked)).await;
    let worker = work(&client, config(1), |_| async { done() });
    until("its lane is parked", async || (client.queue(&WORK).await.unwrap().parked_lanes == 1).then_some(())).await;
    worker.stop().await;
    enqueued(&client, job("acme")).await;
    let told = async || {
        let stats = client.queue(&WORK).await.unwrap();
        (stats.available, stats.oldest_age.is_some())
    };
    assert_eq!(told().await, (2, true));
    client.pause_tenant(&acme).await.unwrap();
    assert_eq!(told().await, (2, false));
    enqueued(&client, job("other")).await;
    assert_eq!(told().await, (3, true));
    client.resume_tenant(&acme).await.unwrap();
    client.resume_tenant(&tenant("other")).await.unwrap();
    assert_eq!(told().await, (3, true));
}
