//! A walk over all jobs that wait.

use std::collections::HashSet;

use postrider_queue::{JobId, JobKind, JobState, ListFilter, QueueClient, Walk};

use crate::server::{Server, job, tenant};

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
