//! Our engine with a bare worker: no layers, a handler that only reads its payload.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use apalis::prelude::WorkerBuilder;
use futures::{StreamExt as _, stream};
use postrider_queue::{
    Claimed, Done, Enqueued, Job as _, Lane, LaneName, NewJob, Outcome, Policy, QueueBackend, QueueClient, ScopeKey,
    Stop, WorkerConfig,
};

use super::{Console, Order, Role, until_stopped};
use crate::contestant::connect;
use crate::parcel::{Parcel, Run, write_runs};

pub async fn run(order: Order, mut console: Console) {
    let client = connect(&order.url).await;
    client.ping().await.expect("reach Redis");
    if order.role == Role::Work {
        return work(&client, &order, console).await;
    }
    let jobs: Vec<NewJob> = match order.role {
        Role::Trickle => Vec::new(),
        Role::One | Role::Concurrent | Role::Bulk | Role::Work => {
            (order.first..order.first + order.jobs).map(|number| job(&order, number)).collect()
        }
    };
    let started = console.start().await;
    match order.role {
        Role::One => {
            for job in jobs {
                created(client.enqueue(job).await.expect("enqueue"));
            }
        }
        Role::Concurrent => {
            let mut answers = stream::iter(jobs).map(|job| client.enqueue(job)).buffer_unordered(order.in_flight);
            while let Some(answer) = answers.next().await {
                created(answer.expect("enqueue"));
            }
        }
        Role::Bulk => client.enqueue_many(jobs).await.expect("enqueue").into_iter().for_each(created),
        Role::Trickle => {
            let mut ticks = tokio::time::interval(Duration::from_millis(order.every_ms));
            for number in 0..order.jobs {
                ticks.tick().await;
                created(client.enqueue(Parcel::sent_now(number).job(1)).await.expect("enqueue"));
            }
        }
        Role::Work => {}
    }
    Console::finish(started);
}

/// Names of the lane and the scope of a job in the `lanes` scenario.
pub fn lane(number: u32, lanes: u32) -> Option<Lane> {
    let place = number.checked_rem(lanes)?;
    let name = LaneName::parse(format!("lane-{place}")).expect("a lane's name");
    Some(Lane::with_scopes(name, vec![scope(place)]))
}

pub fn scope(place: u32) -> ScopeKey {
    ScopeKey::parse(format!("scope-{place}")).expect("a scope's key")
}

fn job(order: &Order, number: u32) -> NewJob {
    let mut job = Parcel::new(number, 0).job(order.tenants);
    if let Some(lane) = lane(number, order.lanes) {
        job.lane = lane;
    }
    job
}

fn created(answer: Enqueued) {
    assert!(matches!(answer, Enqueued::Created(_)), "not created: {answer:?}");
}

async fn work(client: &QueueClient, order: &Order, mut console: Console) {
    let runs = Arc::new(Mutex::new(Vec::<Run>::with_capacity(200_000)));
    let noted = Arc::clone(&runs);
    let handler = move |job: Claimed| {
        let noted = Arc::clone(&noted);
        async move {
            let parcel: Parcel = serde_json::from_slice(&job.payload).map_err(Stop::fail)?;
            noted.lock().unwrap_or_else(PoisonError::into_inner).push(Run::of(&parcel));
            Outcome::from(Done::empty())
        }
    };
    let policies = |kind: &str| (kind == Parcel::KIND.as_str()).then(Policy::of::<Parcel>);
    let started = console.start().await;
    let config = WorkerConfig::new(vec![Parcel::QUEUE], order.concurrency);
    let backend = QueueBackend::new(client, config, Arc::new(policies));
    let session = backend.handle();
    let worker = WorkerBuilder::new("bench").backend(backend).build(handler);
    until_stopped(worker.run(), &mut console).await;
    session.close(Duration::from_secs(10)).await.expect("close the session");
    if let Some(path) = &order.runs {
        write_runs(path, &runs.lock().unwrap_or_else(PoisonError::into_inner));
    }
    Console::finish(started);
}
