//! The two databases every store must work on alike.

use std::path::Path;

use postrider_migration::{Migrator, MigratorTrait};
use sea_orm::{Database, DatabaseConnection};

use crate::postgres;

/// Which one a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseKind {
    Sqlite,
    Postgres,
}

/// A migrated, empty database of one test.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    _server: Option<postgres::Server>,
}

impl TestDatabase {
    pub async fn create(kind: DatabaseKind, folder: &Path) -> Self {
        Self::with(kind, folder, false).await
    }

    /// With every commit on disk, as in production: for measurements.
    pub async fn durable(kind: DatabaseKind, folder: &Path) -> Self {
        Self::with(kind, folder, true).await
    }

    /// Without a schema.
    pub async fn empty(kind: DatabaseKind, folder: &Path) -> Self {
        Self::place(kind, folder, false).await
    }

    async fn place(kind: DatabaseKind, folder: &Path, durable: bool) -> Self {
        match kind {
            DatabaseKind::Sqlite => {
                Self { url: format!("sqlite://{}?mode=rwc", folder.join("postrider.db").display()), _server: None }
            }
            DatabaseKind::Postgres => {
                let (url, server) = postgres::database(folder, durable).await;
                Self { url, _server: server }
            }
        }
    }

    async fn with(kind: DatabaseKind, folder: &Path, durable: bool) -> Self {
        let database = Self::place(kind, folder, durable).await;
        let connection = database.connection().await;
        Migrator::up(&connection, None).await.expect("migrate the database");
        connection.close().await.expect("close the migration's connection");
        database
    }

    /// As the product's `DATABASE_URL`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A connection of the test's own, to look at what no interface shows.
    pub async fn connection(&self) -> DatabaseConnection {
        Database::connect(&self.url).await.expect("connect to the database")
    }
}
