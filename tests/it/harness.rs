//! The harness itself: what the other tests rely on without looking.

use std::time::Duration;

use chrono::{DateTime, Utc};
use postrider_tests::mails::{self, Outcome};
use postrider_tests::platform::FakedTime;
use postrider_tests::{DatabaseKind, RedisServer, TestDatabase};
use rust_decimal::Decimal;
use sea_orm::ConnectionTrait as _;

#[tokio::test]
async fn redis_keeps_what_it_confirmed_when_it_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start(folder.path(), None).await;
    let mut connection = redis.connection().await;
    redis::cmd("SET").arg("kept").arg("yes").exec_async(&mut connection).await.unwrap();
    redis.kill();
    redis.restart().await;
    let kept: String = redis::cmd("GET").arg("kept").query_async(&mut redis.connection().await).await.unwrap();
    assert_eq!(kept, "yes");
}

#[tokio::test]
async fn redis_loses_what_it_had_not_synced_and_nothing_else() {
    // Long enough for Redis to be killed before the sync of a write has ended, which no confirmation waits for.
    for (setting, survives, sync_ms) in [("always", true, 300), ("everysec", false, 2_000)] {
        let folder = tempfile::tempdir().unwrap();
        let sync = Some(Duration::from_millis(sync_ms));
        let redis = RedisServer::start_on(folder.path(), None, sync, &["--appendfsync", setting]).await;
        let mut connection = redis.connection().await;
        redis::cmd("SET").arg("kept").arg("perhaps").exec_async(&mut connection).await.unwrap();
        redis.kill();
        assert_eq!(redis.lose_unsynced() > 0, !survives, "{setting}");
        redis.restart().await;
        let kept: Option<String> =
            redis::cmd("GET").arg("kept").query_async(&mut redis.connection().await).await.unwrap();
        assert_eq!(kept.is_some(), survives, "{setting}");
    }
}

#[tokio::test]
async fn faketime_moves_the_clock_of_redis() {
    let folder = tempfile::tempdir().unwrap();
    let start: DateTime<Utc> = "2027-03-27T22:59:00Z".parse().unwrap();
    let time = FakedTime::starting_at(folder.path(), start);
    let redis = RedisServer::start(folder.path(), Some(&time)).await;
    let mut connection = redis.connection().await;
    let mut clock = async || {
        let (seconds, _): (i64, i64) = redis::cmd("TIME").query_async(&mut connection).await.unwrap();
        DateTime::from_timestamp(seconds, 0).unwrap()
    };
    assert!((clock().await - start).num_seconds() < 30);
    let next_day = "2027-03-28T01:00:00Z".parse().unwrap();
    time.set(next_day);
    assert!(clock().await >= next_day);
    assert!((clock().await - next_day).num_seconds() < 30);
}

#[tokio::test]
async fn sqlite_database_is_migrated() {
    is_migrated(DatabaseKind::Sqlite).await;
}

#[tokio::test]
async fn postgres_database_is_migrated() {
    is_migrated(DatabaseKind::Postgres).await;
}

async fn is_migrated(kind: DatabaseKind) {
    let folder = tempfile::tempdir().unwrap();
    let database = TestDatabase::create(kind, folder.path()).await;
    let connection = database.connection().await;
    connection.execute_unprepared("SELECT id FROM tenants").await.unwrap();
    connection.close().await.unwrap();
}

#[test]
fn the_thirty_mails_have_expectations_that_add_up() {
    let requests = mails::requests();
    assert_eq!(requests.len(), 30);
    let for_review = requests.iter().filter(|(_, expected)| expected.outcome == Outcome::NeedsReview).count();
    assert_eq!(for_review, 5);
    for (mail, expected) in requests {
        if expected.outcome == Outcome::NeedsReview {
            assert!(expected.total.is_none() && expected.reason_contains.is_some(), "{}", mail.name);
            continue;
        }
        let amount = |text: &str| text.parse::<Decimal>().unwrap();
        let lines: Decimal = expected.items.iter().map(|item| amount(&item.total)).sum();
        let products: Decimal =
            expected.items.iter().map(|item| amount(&item.quantity) * amount(&item.unit_price)).sum();
        let [subtotal, tax, total] =
            [&expected.subtotal, &expected.tax, &expected.total].map(|text| amount(text.as_ref().unwrap()));
        assert_eq!((lines, products, total), (subtotal, subtotal, subtotal + tax), "{}", mail.name);
    }
}
