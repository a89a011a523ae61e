use postrider_migration::{Migrator, MigratorTrait};
use postrider_shared::{config::DatabaseConfig, database::Database};
use sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::scene::{Scene, on_both};

on_both!(every_step_goes_up_and_down_and_up_again);

async fn every_step_goes_up_and_down_and_up_again(scene: Scene) {
    let database = Database::connect(&DatabaseConfig::at(&scene.url)).await.unwrap();
    let full = tables(&database).await;
    assert!(full.len() > 14, "{full:?}");
    let steps = Migrator::migrations().len();
    // One by one, so that each step's own way back is tried over the steps before it.
    for _ in 0..steps {
        Migrator::down(database.reader(), Some(1)).await.unwrap();
    }
    assert!(tables(&database).await.iter().all(|name| name.contains("migration")), "something stays behind");
    Migrator::up(database.reader(), None).await.unwrap();
    assert_eq!(tables(&database).await, full);
    Migrator::up(database.reader(), None).await.unwrap();
}

async fn tables(database: &Database) -> Vec<String> {
    let backend = database.reader().get_database_backend();
    let query = match backend {
        DbBackend::Sqlite => {
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'index') AND name NOT LIKE 'sqlite_%' ORDER BY 1"
        }
        _ => {
            "SELECT relname::text AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i') ORDER BY 1"
        }
    };
    let rows = database.reader().query_all_raw(Statement::from_string(backend, query)).await.unwrap();
    rows.iter().map(|row| row.try_get("", "name").unwrap()).collect()
}
