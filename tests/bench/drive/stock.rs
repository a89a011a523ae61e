//! `apalis_redis::RedisStorage` as it comes, at its best settings: large batches, no events.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use apalis::prelude::{BoxDynError, TaskSink as _, WorkerBuilder};
use apalis_redis::{Config, RedisStorage};
use futures::{StreamExt as _, stream};

use super::{Console, Order, Role, until_stopped};
use crate::parcel::{Parcel, Run, write_runs};

/// Of 10, 64, 256 and 512 a batch, the bench's tuning picks the fastest by `--concurrency`.
pub fn config(batch: usize) -> Config {
    Config::default().queue("parcels").batch_size(batch).emit_events(false)
}

/// How many go into one call of a bulk push.
const CHUNK: usize = 500;

pub async fn run(order: Order, mut console: Console) {
    let connection = apalis_redis::connect(order.url.as_str()).await.expect("connect to Redis");
    let mut storage = RedisStorage::<Parcel>::new(connection).with_config(config(order.concurrency));
    if order.role == Role::Work {
        return work(storage, &order, console).await;
    }
    let jobs: Vec<Parcel> = (order.first..order.first + order.jobs).map(|number| Parcel::new(number, 0)).collect();
    let started = console.start().await;
    match order.role {
        Role::One => {
            for job in jobs {
                storage.push(job).await.expect("push");
            }
        }
        Role::Concurrent => {
            let mut answers = stream::iter(jobs)
                .map(|job| {
                    let mut storage = storage.clone();
                    async move { storage.push(job).await }
                })
                .buffer_unordered(order.in_flight);
            while let Some(answer) = answers.next().await {
                answer.expect("push");
            }
        }
        Role::Bulk => {
            for chunk in jobs.chunks(CHUNK) {
                storage.push_bulk(chunk.to_vec()).await.expect("push");
            }
        }
        Role::Trickle => {
            let mut ticks = tokio::time::interval(Duration::from_millis(order.every_ms));
            for number in 0..order.jobs {
                ticks.tick().await;
                storage.push(Parcel::sent_now(number)).await.expect("push");
            }
        }
        Role::Work => {}
    }
    Console::finish(started);
}

async fn work(storage: RedisStorage<Parcel>, order: &Order, mut console: Console) {
    let runs = Arc::new(Mutex::new(Vec::<Run>::with_capacity(200_000)));
    let noted = Arc::clone(&runs);
    let handler = move |parcel: Parcel| {
        let noted = Arc::clone(&noted);
        async move {
            noted.lock().unwrap_or_else(PoisonError::into_inner).push(Run::of(&parcel));
            Ok::<(), BoxDynError>(())
        }
    };
    let started = console.start().await;
    let worker = WorkerBuilder::new(format!("stock-{}", std::process::id())).backend(storage).build(handler);
    until_stopped(worker.run(), &mut console).await;
    if let Some(path) = &order.runs {
        write_runs(path, &runs.lock().unwrap_or_else(PoisonError::into_inner));
    }
    Console::finish(started);
}
