//! SQLite without room for another page, as on a full disk, or without the right to write, as on one that is mounted read-only after a
//! fault.

use postrider_shared::{
    config::DatabaseConfig,
    database::{Database, StoreError},
    stores::Stores,
    tenants::TenantSettings,
};
use sea_orm::ConnectionTrait as _;

use crate::scene::Scene;

/// Of one connection; never less than the database has.
async fn limit_pages(database: &Database, most: u32) {
    database.reader().execute_unprepared(&format!("PRAGMA max_page_count = {most}")).await.unwrap();
}

/// SQLite ends the transaction by itself when its disk is full. A connection that is taken for one inside a transaction from then
/// on would have the next commits confirmed and never made.
#[tokio::test]
async fn a_commit_after_a_full_disk_is_one() {
    let scene = Scene::sqlite().await;
    let config = DatabaseConfig { max_connections: 1, ..DatabaseConfig::at(&scene.url) };
    let database = Database::connect(&config).await.unwrap();
    let tenants = Stores::new(&database, &scene.clock, None).tenants;
    limit_pages(&database, 1).await;
    let mut refused = None;
    for number in 0..10_000 {
        if let Err(error) = tenants.create(TenantSettings::named(format!("Tenant {number}"))).await {
            refused = Some(error);
            break;
        }
    }
    let refused = refused.expect("the database is full in the end");
    assert!(matches!(&refused, StoreError::Unavailable(_)), "{refused:?}");
    limit_pages(&database, u32::MAX - 1).await;
    database.write().await.unwrap().rollback().await.unwrap();
    let made = tenants.create(TenantSettings::named("After")).await.unwrap();
    // To another process.
    scene.stores.tenants.get(made.id).await.unwrap();
    scene.stores.tenants.create(TenantSettings::named("Beside")).await.unwrap();
}

#[tokio::test]
async fn a_disk_that_takes_no_writes_is_waited_for() {
    let scene = Scene::sqlite().await;
    let config = DatabaseConfig { max_connections: 1, ..DatabaseConfig::at(&scene.url) };
    let database = Database::connect(&config).await.unwrap();
    let tenants = Stores::new(&database, &scene.clock, None).tenants;
    let read_only = async |flag: &str| {
        database.reader().execute_unprepared(&format!("PRAGMA query_only = {flag}")).await.unwrap();
    };
    read_only("ON").await;
    let refused = tenants.create(TenantSettings::named("Now")).await.unwrap_err();
    assert!(refused.is_transient(), "{refused:?}");
    read_only("OFF").await;
    tenants.create(TenantSettings::named("Later")).await.unwrap();
}
