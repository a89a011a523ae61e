//! A tenant that is forgotten leaves nothing, and nobody else notices.

use std::time::Duration;

use postrider_queue::{
    Enqueued, ForgetPlace, IdempotencyKey, JobId, JobState, Lane, LaneName, NewJob, Priority, QueueClient, RateLimit,
    RecipientKey, ScopeKey, ScopeLimits, Stop,
};
use tokio::sync::watch;

use crate::server::{Server, WORK, config, done, job, tenant, until, until_state, work};

/// Walks once; what was removed, and what runs.
async fn walk(client: &QueueClient, name: &str) -> (u64, u64) {
    let (mut removed, mut running, mut place) = (0, 0, Some(ForgetPlace::default()));
    while let Some(from) = place {
        let step = client.forget_tenant(&tenant(name), &from).await.unwrap();
        removed += step.removed;
        running += step.running;
        place = step.next;
    }
    (removed, running)
}

fn lane(name: &str) -> Lane {
    Lane::named(LaneName::parse(name).unwrap())
}

/// Jobs that wait, in every way there is.
async fn waiting(client: &QueueClient, name: &str) -> Vec<JobId> {
    let scope = ScopeKey::parse("mailbox:a@b").unwrap();
    let limits =
        ScopeLimits { recipient_rate: Some(RateLimit::even(1, Duration::from_hours(1))), ..ScopeLimits::default() };
    client.define_scope(&tenant(name), &scope, &limits).await.unwrap();
    client.pause_scope(&tenant(name), &scope).await.unwrap();
    let limited = Lane::with_scopes(LaneName::parse("out").unwrap(), vec![scope]);
    let later = chrono::DateTime::from_timestamp(4_000_000_000, 0).unwrap();
    let mut jobs: Vec<NewJob> = Priority::ALL.into_iter().map(|priority| job(name).priority(priority)).collect();
    jobs.extend((0..300).map(|_| job(name).lane(lane("many"))));
    jobs.extend((0..3).map(|_| job(name).lane(limited.clone()).recipient(RecipientKey::of("r").unwrap())));
    jobs.push(job(name).run_at(later));
    jobs.push(job(name).unique_key("one"));
    jobs.push(job(name).idempotency_key(IdempotencyKey { key: "key".to_owned(), fingerprint: "same".to_owned() }));
    let enqueued = client.enqueue_many(jobs).await.unwrap();
    enqueued.iter().map(Enqueued::id).collect()
}

#[tokio::test]
async fn a_forgotten_tenant_leaves_nothing_and_others_keep_all() {
    let server = Server::start().await;
    let client = server.client().await;
    let (open, closed) = watch::channel(false);
    let worker = work(&client, config(8), move |claimed| {
        let mut closed = closed.clone();
        async move {
            match claimed.lane.name.as_str() {
                "slow" => drop(closed.wait_for(|open| *open).await),
                "bad" => return Err(Stop::fail("no")),
                _ => {}
            }
            done()
        }
    });
    let (mut gone, mut stays) = (Vec::new(), Vec::new());
    for (name, all) in [("gone", &mut gone), ("stays", &mut stays)] {
        let ended = client.enqueue(job(name)).await.unwrap().id();
        let dead = client.enqueue(job(name).lane(lane("bad"))).await.unwrap().id();
        let running = client.enqueue(job(name).lane(lane("slow"))).await.unwrap().id();
        until_state(&client, ended, JobState::Completed).await;
        until_state(&client, dead, JobState::Dead).await;
        until_state(&client, running, JobState::Running).await;
        client.pause_tenant(&tenant(name)).await.unwrap();
        client.weigh_tenant(&tenant(name), 7).await.unwrap();
        all.extend([ended, dead, running]);
        all.extend(waiting(&client, name).await);
    }

    let (removed, running) = walk(&client, "gone").await;
    assert!(removed >= gone.len() as u64 - 1, "{removed}");
    assert_eq!(running, 1, "it stays until it has ended");
    assert_eq!(client.get(gone[2]).await.unwrap().unwrap().state, JobState::Running);
    open.send(true).unwrap();
    until("nothing is left", || async { (walk(&client, "gone").await == (0, 0)).then_some(()) }).await;

    for id in &gone {
        assert!(client.get(*id).await.unwrap().is_none());
    }
    let mut redis = server.redis().await;
    let keys: Vec<String> = redis::cmd("KEYS").arg("*gone*").query_async(&mut redis).await.unwrap();
    assert_eq!(keys, Vec::<String>::new());
    for hash in ["unique", "rules", "lane_ids", "parked"] {
        let kind: String = redis::cmd("TYPE").arg(format!("{{pr:0}}:1:{hash}")).query_async(&mut redis).await.unwrap();
        let read = if kind == "zset" { ["ZRANGE", "0", "-1"] } else { ["HKEYS", "", ""] };
        let mut command = redis::cmd(read[0]);
        command.arg(format!("{{pr:0}}:1:{hash}"));
        if kind == "zset" {
            command.arg(read[1]).arg(read[2]);
        }
        let names: Vec<Vec<u8>> = command.query_async(&mut redis).await.unwrap();
        let left = names.iter().filter(|name| String::from_utf8_lossy(name).contains("gone")).count();
        assert_eq!(left, 0, "{hash}");
    }
    let figures = client.queue(&WORK).await.unwrap();
    assert_eq!((figures.available, figures.scheduled, figures.dead), (stays.len() as u64 - 4, 1, 1), "{figures:?}");

    // The others go on, and so does who comes back under the name.
    client.resume_tenant(&tenant("stays")).await.unwrap();
    client.resume_scope(&tenant("stays"), &ScopeKey::parse("mailbox:a@b").unwrap()).await.unwrap();
    client.resume_tenant(&tenant("gone")).await.unwrap();
    let back = client.enqueue(job("gone").unique_key("one")).await.unwrap();
    assert!(matches!(back, Enqueued::Created(_)), "the key is free: {back:?}");
    until_state(&client, back.id(), JobState::Completed).await;
    // All but the scheduled one, and two whose recipient has had its message for this hour.
    let all = stays.len() as u64 - 1 - 1 - 2 + 1;
    until("the others have run", || async { (client.queue(&WORK).await.unwrap().completed == all).then_some(()) })
        .await;
    worker.stop().await;
}

#[tokio::test]
async fn a_walk_is_taken_in_bounded_steps_among_many_records_of_others() {
    let server = Server::start().await;
    let client = server.client().await;
    client.enqueue_many((0..3_000).map(|_| job("stays")).collect()).await.unwrap();
    client.pause_tenant(&tenant("gone")).await.unwrap();
    client.enqueue_many((0..700).map(|_| job("gone")).collect()).await.unwrap();
    let (mut steps, mut removed, mut place) = (0, 0, Some(ForgetPlace::default()));
    while let Some(from) = place {
        let step = client.forget_tenant(&tenant("gone"), &from).await.unwrap();
        assert!(step.removed <= 256, "{step:?}");
        removed += step.removed;
        steps += 1;
        place = step.next;
    }
    assert!(removed >= 700 && steps > 10, "{removed} in {steps}");
    assert_eq!(client.queue(&WORK).await.unwrap().available, 3_000);
}
