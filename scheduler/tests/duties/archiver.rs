use postrider_queue::{QueueClient, QueueConfig, Tenant};
use postrider_scheduler::archiver::Archiver;
use postrider_shared::{
    clock::Clock,
    config::DatabaseConfig,
    database::{AllTenants, Database},
    dead_letters::DeadLetterFilter,
    ids::TenantId,
    stores::Stores,
};
use postrider_tests::{DatabaseKind, Platform, wait::eventually};
use serde_json::json;

use crate::office::rounds;

/// A worker buries the job; the scheduler under test is this test.
#[tokio::test]
async fn heavy_a_dead_letter_archived_twice_is_one_row() {
    let platform = Platform::with(DatabaseKind::Sqlite).schedulers(0).start().await;
    let api = platform.tenant("Undertakers").await;
    let submitted =
        api.submit("diagnostic.fail", &json!({ "times": 1, "permanent": true, "error": "no such thing" })).await;
    let job = api.finished(&submitted.id).await;
    assert_eq!(job.state, "dead");

    let clock = Clock::system();
    let database = Database::connect(&DatabaseConfig::at(platform.database().url())).await.unwrap();
    let stores = Stores::new(&database, &clock, None);
    let queue = QueueClient::connect(QueueConfig::new(platform.redis().url())).await.unwrap();
    let record = queue.get(submitted.id.parse().unwrap()).await.unwrap().unwrap();
    let shard = queue.shard_of(&record.tenant);

    // A scheduler that was killed after the commit, before it told the queue.
    let letters = queue.dead(shard, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    stores.dead_letters.archive(AllTenants, &letters).await.unwrap();

    let archiver = || Archiver::new(stores.dead_letters.clone(), queue.clone(), clock.clone());
    let (mut one, mut other) = (archiver(), archiver());
    tokio::join!(rounds(&mut one), rounds(&mut other));
    eventually("the queue to let go", async || queue.dead(shard, 10).await.unwrap().is_empty().then_some(())).await;
    let tenant: TenantId = Tenant::as_str(&record.tenant).parse().unwrap();
    let rows = stores.dead_letters.list(tenant, &DeadLetterFilter::default(), None, 10).await.unwrap();
    assert_eq!(rows.items.len(), 1);
    assert_eq!(rows.items[0].error, "no such thing");
    platform.abandon("the dead letter stays");
}
