//! Priorities, weights, and what acts on a whole lane.

use std::sync::{Arc, Mutex};

use postrider_queue::{Enqueued, JobState, Lane, LaneName, NewJob, Priority, QueueClient, UniqueFor};

use crate::server::{Server, WORK, config, done, job, tenant, until, until_state, work};

fn lane(name: &str) -> Lane {
    Lane::named(LaneName::parse(name).unwrap())
}

fn marked(tenant: &str, name: &str, priority: Priority) -> NewJob {
    let mut job = job(tenant).lane(lane(name)).priority(priority);
    job.payload = format!("{tenant}/{name}/{priority}").into_bytes();
    job
}

/// Runs `total` jobs with `slots` at a time, gives back what was claimed beyond, and returns their marks in order.
async fn run(client: &QueueClient, slots: usize, total: usize) -> Vec<String> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    let worker = work(client, config(slots), move |claimed| {
        let mut seen = record.lock().unwrap();
        let enough = seen.len() == total;
        if !enough {
            seen.push(String::from_utf8(claimed.payload).unwrap());
        }
        async move { if enough { std::future::pending().await } else { done() } }
    });
    until("all have run", || async { (seen.lock().unwrap().len() == total).then_some(()) }).await;
    worker.abort().await;
    let seen = seen.lock().unwrap();
    seen.clone()
}

fn share(order: &[String], part: &str) -> f64 {
    let count = order.iter().filter(|mark| mark.contains(part)).count();
    f64::from(u32::try_from(count).unwrap()) / f64::from(u32::try_from(order.len()).unwrap())
}

fn near(share: f64, wanted: f64, what: &str) {
    assert!((share / wanted - 1.0).abs() <= 0.05, "{what} got {share:.3}, not {wanted:.3}");
}

#[tokio::test]
async fn a_flood_of_high_goes_first_and_does_not_starve_low() {
    let server = Server::start().await;
    let client = server.client().await;
    for priority in Priority::ALL {
        client.enqueue_many((0..4000).map(|_| marked("acme", "default", priority)).collect()).await.unwrap();
    }
    for slots in [1, 16] {
        let order = run(&client, slots, 1000).await;
        near(share(&order[..1000], "/high"), 16.0 / 21.0, "high");
        near(share(&order[..1000], "/normal"), 4.0 / 21.0, "normal");
        near(share(&order[..1000], "/low"), 1.0 / 21.0, "low");
    }
}

#[tokio::test]
async fn a_priority_is_kept_in_the_record_and_unused_places_go_to_the_others() {
    let server = Server::start().await;
    let client = server.client().await;
    let low = client.enqueue(marked("acme", "default", Priority::Low)).await.unwrap().id();
    assert_eq!(client.get(low).await.unwrap().unwrap().priority, Priority::Low);
    let high = marked("acme", "default", Priority::High);
    client.enqueue_many(vec![marked("acme", "default", Priority::Normal), high]).await.unwrap();
    let order = run(&client, 8, 3).await;
    assert_eq!(order[0], "acme/default/high");
    assert_eq!(order.len(), 3);
}

#[tokio::test]
async fn weights_of_tenants_are_honoured_whatever_the_size_of_calls() {
    let server = Server::start().await;
    let client = server.client().await;
    for name in ["one", "two", "seven"] {
        client.enqueue_many((0..5000).map(|_| marked(name, "default", Priority::Normal)).collect()).await.unwrap();
    }
    client.weigh_tenant(&tenant("two"), 2).await.unwrap();
    client.weigh_tenant(&tenant("seven"), 7).await.unwrap();
    for slots in [1, 3, 64] {
        let order = run(&client, slots, 1000).await;
        near(share(&order[..1000], "one/"), 0.1, "the first");
        near(share(&order[..1000], "two/"), 0.2, "the second");
        near(share(&order[..1000], "seven/"), 0.7, "the third");
    }
    assert!(client.weigh_tenant(&tenant("one"), 0).await.is_err());
}

#[tokio::test]
async fn weights_of_lanes_are_honoured_within_a_tenant() {
    let server = Server::start().await;
    let client = server.client().await;
    for name in ["light", "heavy"] {
        client.enqueue_many((0..3000).map(|_| marked("acme", name, Priority::Normal)).collect()).await.unwrap();
    }
    client.weigh_lane(&tenant("acme"), &WORK, &lane("heavy"), 3).await.unwrap();
    for slots in [1, 7] {
        let order = run(&client, slots, 800).await;
        near(share(&order[..800], "/heavy"), 0.75, "the heavy lane");
    }
}

#[tokio::test]
async fn a_paused_lane_gives_nothing_until_it_is_resumed_and_others_go_on() {
    let server = Server::start().await;
    let client = server.client().await;
    client.pause_lane(&tenant("acme"), &WORK, &lane("run:1")).await.unwrap();
    for priority in Priority::ALL {
        client.enqueue(marked("acme", "run:1", priority)).await.unwrap();
    }
    let other = client.enqueue(marked("acme", "run:2", Priority::Normal)).await.unwrap().id();
    let worker = work(&client, config(4), |_| async { done() });
    until_state(&client, other, JobState::Completed).await;
    until("the lane is parked", || async { (client.queue(&WORK).await.unwrap().parked_lanes == 3).then_some(()) })
        .await;
    assert_eq!(client.queue(&WORK).await.unwrap().available, 3);
    client.resume_lane(&tenant("acme"), &WORK, &lane("run:1")).await.unwrap();
    until("all have run", || async { (client.queue(&WORK).await.unwrap().completed == 4).then_some(()) }).await;
    worker.stop().await;
}

#[tokio::test]
async fn what_one_step_of_maintenance_leaves_the_next_one_does_at_once() {
    let server = Server::start().await;
    let client = server.client().await;
    client.enqueue_many((0..20_000).map(|_| marked("acme", "run:1", Priority::Normal)).collect()).await.unwrap();
    client.cancel_lane(&tenant("acme"), &WORK, &lane("run:1")).await.unwrap();
    let worker = work(&client, config(4), |_| async { done() });
    until("all are cancelled", || async { (client.queue(&WORK).await.unwrap().available == 0).then_some(()) }).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_cancelled_lane_ends_all_that_was_enqueued_and_nothing_that_comes_later() {
    let server = Server::start().await;
    let client = server.client().await;
    let soon = chrono::DateTime::from_timestamp(4_000_000_000, 0).unwrap();
    client.enqueue_many((0..1000).map(|_| marked("acme", "run:1", Priority::Normal)).collect()).await.unwrap();
    client.enqueue(marked("acme", "run:1", Priority::High)).await.unwrap();
    let later = client.enqueue(marked("acme", "run:1", Priority::Normal).run_at(soon)).await.unwrap().id();
    assert_eq!(client.cancel_lane(&tenant("acme"), &WORK, &lane("run:1")).await.unwrap(), 1001);
    // Until the clock of Redis has moved on by a millisecond, a job counts as enqueued before.
    let id = until("a job comes later", || async {
        let id = client.enqueue(marked("acme", "run:1", Priority::Normal)).await.unwrap().id();
        let cancelled_at = client.get(later).await.unwrap().unwrap().enqueued_at;
        (client.get(id).await.unwrap().unwrap().enqueued_at > cancelled_at + chrono::TimeDelta::milliseconds(50))
            .then_some(id)
    })
    .await;
    let worker = work(&client, config(4), |_| async { done() });
    until_state(&client, id, JobState::Completed).await;
    until("the steps are through", || async { (client.queue(&WORK).await.unwrap().available == 0).then_some(()) })
        .await;
    client.promote(later).await.unwrap();
    until_state(&client, later, JobState::Cancelled).await;
    let stats = client.queue(&WORK).await.unwrap();
    assert_eq!((stats.available, stats.scheduled, stats.running, stats.lanes), (0, 0, 0, 0));
    worker.stop().await;
}

#[tokio::test]
async fn what_is_enqueued_after_its_lane_was_cancelled_runs() {
    let server = Server::start().await;
    let client = server.client().await;
    let later = |text: &str| NewJob { payload: text.into(), ..marked("acme", "a", Priority::Normal) };
    let far = "2100-01-01T00:00:00Z".parse().unwrap();
    let replacing = later("replaced").unique_key("replaced").unique_for(UniqueFor::Replace);
    client.enqueue(later("held").unique_key("held").run_at(far)).await.unwrap();
    client.enqueue(replacing.clone().run_at(far)).await.unwrap();
    client.cancel_lane(&tenant("acme"), &WORK, &lane("a")).await.unwrap();
    let mut newer = vec![client.enqueue(later("held").unique_key("held")).await.unwrap()];
    newer.push(client.enqueue(replacing).await.unwrap());
    for _ in 0..50 {
        client.enqueue(later("old")).await.unwrap();
        client.cancel_lane(&tenant("acme"), &WORK, &lane("a")).await.unwrap();
        newer.truncate(2);
        newer.push(client.enqueue(later("new")).await.unwrap());
    }
    let worker = work(&client, config(4), |_| async { done() });
    for job in &newer[2..] {
        assert!(matches!(job, Enqueued::Created(_)), "{job:?}");
        until_state(&client, job.id(), JobState::Completed).await;
    }
    worker.stop().await;
    assert!(
        newer[..2].iter().all(|job| matches!(job, Enqueued::Created(_))),
        "no key is held by one that was cancelled"
    );
}

/// As when a replica takes over whose clock is behind.
#[tokio::test]
async fn a_lane_that_is_cancelled_after_the_clock_went_back_ends_all_that_waits_there() {
    let server = Server::start_at("@2026-03-01 12:00:10").await;
    let client = server.client().await;
    let id = client.enqueue(marked("acme", "a", Priority::Normal)).await.unwrap().id();
    server.set_clock("@2026-03-01 12:00:05");
    client.cancel_lane(&tenant("acme"), &WORK, &lane("a")).await.unwrap();
    let worker = work(&client, config(1), |_| async { done() });
    until_state(&client, id, JobState::Cancelled).await;
    worker.stop().await;
}
