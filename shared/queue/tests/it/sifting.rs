//! A walk over all jobs that wait.

use std::{collections::HashSet, time::Duration};

use postrider_queue::{
    JobId, JobKind, JobState, Lane, LaneName, ListFilter, NewJob, QueueClient, QueueName, Stop, Walk,
};

use crate::server::{Server, config, job, tenant, until, until_state, work};

async fn walk(client: &QueueClient, filter: &ListFilter, between: impl AsyncFn()) -> HashSet<JobId> {
    let (mut seen, mut walk) = (HashSet::new(), Some(Walk::default()));
    while let Some(from) = walk {
        let (found, next) = client.waiting(&tenant("acme"), filter, &from).await.unwrap();
        assert!(found.iter().all(|record| record.tenant == tenant("acme") && record.payload.is_empty()));
        seen.extend(found.into_iter().map(|record| record.id));
        walk = next;
        between().await;
    }
    seen
}

/// More than a list of the newest jobs reaches back to, while others come and go.
#[tokio::test]
async fn whoever_waits_all_the_time_is_found() {
    let server = Server::start().await;
    let client = server.client().await;
    let enqueue = async |name: &str, many: usize| -> Vec<JobId> {
        let jobs = (0..many).map(|_| job(name)).collect();
        client.enqueue_many(jobs).await.unwrap().iter().map(postrider_queue::Enqueued::id).collect()
    };
    enqueue("other", 500).await;
    let mut all: HashSet<JobId> = enqueue("acme", 12_000).await.into_iter().collect();
    let later = job("acme").run_at(chrono::DateTime::from_timestamp(4_000_000_000, 0).unwrap());
    let later = client.enqueue(later).await.unwrap().id();
    all.insert(later);
    let everything = ListFilter::default();
    assert_eq!(walk(&client, &everything, async || ()).await, all);
    let scheduled = ListFilter { state: Some(JobState::Scheduled), ..ListFilter::default() };
    assert_eq!(walk(&client, &scheduled, async || ()).await, HashSet::from([later]));
    let nothing = ListFilter { kind: Some(JobKind::new("nobody")), ..ListFilter::default() };
    assert!(walk(&client, &nothing, async || ()).await.is_empty());

    // What ended or runs does not wait.
    let gone: Vec<JobId> = all.iter().copied().filter(|id| *id != later).take(100).collect();
    for id in &gone {
        client.cancel(*id).await.unwrap();
        all.remove(id);
    }
    let seen = walk(&client, &everything, async || drop((enqueue("acme", 20).await, enqueue("other", 20).await))).await;
    assert!(seen.is_superset(&all), "{} of {} are missing", all.difference(&seen).count(), all.len());
    assert!(gone.iter().all(|id| !seen.contains(id)));
}

/// The server that takes over has the records in another order.
#[tokio::test]
async fn whoever_waits_is_found_although_redis_is_restarted_meanwhile() {
    for protocol in [1, 2] {
        let mut server = Server::start().await;
        let mut meta = redis::cmd("HSET");
        meta.arg("{pr:0}:1:meta").arg("protocol").arg(protocol).arg("shards").arg(1);
        meta.exec_async(&mut server.redis().await).await.unwrap();
        let client = server.client().await;
        let jobs = client.enqueue_many(vec![job("acme"); 3_000]).await.unwrap();
        let all: HashSet<JobId> = jobs.iter().map(postrider_queue::Enqueued::id).collect();
        let (mut seen, mut walk, mut restarted) = (HashSet::new(), Some(Walk::default()), false);
        while let Some(from) = walk {
            if !restarted && seen.len() > all.len() / 2 {
                restarted = true;
                server.kill();
                server.up().await;
            }
            let (found, next) = until("it is walked on", || async {
                client.waiting(&tenant("acme"), &ListFilter::default(), &from).await.ok()
            })
            .await;
            seen.extend(found.into_iter().map(|record| record.id));
            walk = next;
        }
        assert_eq!(all.difference(&seen).count(), 0, "protocol {protocol}: of {} are missing", all.len());
    }
}

/// What a worker has does not wait, and what waits for its next attempt does.
#[tokio::test]
async fn what_runs_does_not_wait_and_what_is_tried_again_does() {
    let server = Server::start().await;
    let client = server.client().await;
    let lane = |name: &str| Lane::named(LaneName::parse(name).unwrap());
    let slow = client.enqueue(job("acme").lane(lane("slow"))).await.unwrap().id();
    let again = client.enqueue(job("acme").lane(lane("again"))).await.unwrap().id();
    let worker = work(&client, config(2), |claimed| async move {
        match claimed.lane.name.as_str() {
            "again" => Err(Stop::retry_after("later", Duration::from_hours(1))),
            _ => std::future::pending().await,
        }
    });
    until_state(&client, slow, JobState::Running).await;
    until_state(&client, again, JobState::Retryable).await;
    assert_eq!(walk(&client, &ListFilter::default(), async || ()).await, HashSet::from([again]));
    let retryable = ListFilter { state: Some(JobState::Retryable), ..ListFilter::default() };
    assert_eq!(walk(&client, &retryable, async || ()).await, HashSet::from([again]));
    worker.abort().await;
    // Back in its lane.
    until_state(&client, slow, JobState::Available).await;
    assert_eq!(walk(&client, &ListFilter::default(), async || ()).await, HashSet::from([slow, again]));
}

#[tokio::test]
async fn each_part_of_a_filter_narrows_the_walk() {
    let server = Server::start().await;
    let client = server.client().await;
    let batch = client.batch_id(&tenant("acme"));
    client.open_batch(&tenant("acme"), batch, None).await.unwrap();
    let aside = Lane::named(LaneName::parse("aside").unwrap());
    let plain = client.enqueue(job("acme")).await.unwrap().id();
    let first = client.get(plain).await.unwrap().unwrap().enqueued_at;
    until("a later millisecond", || async {
        let probe = client.enqueue(job("other")).await.unwrap().id();
        (client.get(probe).await.unwrap().unwrap().enqueued_at > first).then_some(())
    })
    .await;
    let mut one_of = Vec::new();
    for different in [
        NewJob { kind: JobKind::new("other"), ..job("acme") },
        NewJob { queue: QueueName::new("elsewhere"), ..job("acme") },
        job("acme").lane(aside.clone()),
        job("acme").in_batch(batch),
    ] {
        one_of.push(client.enqueue(different).await.unwrap().id());
    }
    let later = client.get(one_of[0]).await.unwrap().unwrap().enqueued_at;
    let all = ListFilter::default;
    for (filter, expected) in [
        (ListFilter { kind: Some(JobKind::new("other")), ..all() }, vec![one_of[0]]),
        (ListFilter { queue: Some(QueueName::new("elsewhere")), ..all() }, vec![one_of[1]]),
        (ListFilter { lane: Some(aside.name.clone()), ..all() }, vec![one_of[2]]),
        (ListFilter { batch: Some(batch), ..all() }, vec![one_of[3]]),
        (ListFilter { created_after: Some(later), ..all() }, one_of.clone()),
        (ListFilter { created_before: Some(later), ..all() }, vec![plain]),
    ] {
        assert_eq!(walk(&client, &filter, async || ()).await, expected.into_iter().collect(), "{filter:?}");
    }
}
