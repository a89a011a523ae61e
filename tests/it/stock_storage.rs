//! Why the product has a Redis backend of its own: the stock one stops at a backlog that ours does not notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use apalis::prelude::{TaskSink as _, WorkerBuilder};
use apalis_redis::RedisStorage;
use postrider_tests::RedisServer;

/// What `unpack` in the stock storage's scripts takes is bounded by Lua's stack; from about this many due jobs it fails.
const TOO_MANY: usize = 8_000;

/// The test's name says what upstream may mend. When it fails, look whether `fetch_next.lua` promotes in bounded steps now,
/// and what else of the reasons in the queue engine's documentation still holds.
#[tokio::test]
async fn stock_storage_stops_at_a_backlog_of_eight_thousand_due_jobs() {
    assert_eq!(done_by_stock_storage(100).await, Ok(100), "the drill itself works");
    let stopped = done_by_stock_storage(TOO_MANY).await.unwrap_err();
    assert!(stopped.contains("too many results to unpack"), "{stopped}");
}

/// How many of `jobs` due jobs a worker on the stock storage does, or why it ended before.
async fn done_by_stock_storage(jobs: usize) -> Result<usize, String> {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start_with(folder.path(), None, &["--appendfsync", "no"]).await;
    let connection = apalis_redis::connect(redis.url()).await.unwrap();
    let mut storage = RedisStorage::<u64>::new(connection);
    for chunk in (0..jobs as u64).collect::<Vec<_>>().chunks(500) {
        storage.push_bulk(chunk.to_vec()).await.unwrap();
    }
    let done = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&done);
    let worker =
        WorkerBuilder::new("stock").backend(storage).build(move |_: u64, worker: apalis::prelude::WorkerContext| {
            let counted = Arc::clone(&counted);
            async move {
                if counted.fetch_add(1, Ordering::Relaxed) + 1 == jobs {
                    worker.stop()?;
                }
                Ok::<(), apalis::prelude::BoxDynError>(())
            }
        });
    tokio::time::timeout(Duration::from_mins(1), worker.run())
        .await
        .expect("the worker ends")
        .map_err(|error| format!("{error:?}"))?;
    Ok(done.load(Ordering::Relaxed))
}
