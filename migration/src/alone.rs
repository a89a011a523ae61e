//! One process at a time changes the schema, also where each replica of a deployment migrates first.

use std::{
    fs::{File, TryLockError},
    io,
    path::PathBuf,
    time::Duration,
};

use sea_orm_migration::{
    DbErr,
    sea_orm::{ConnectionTrait, DatabaseBackend, DatabaseConnection, Statement, TryGetable},
};
use tokio::time::{Instant, sleep};

/// How long another process may take.
const PATIENCE: Duration = Duration::from_mins(10);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A number of our own among the advisory locks of PostgreSQL.
const KEY: i64 = 0x706f_7374_7269_6465;

/// Who holds it is the only one that migrates, until it is dropped.
#[derive(Debug)]
pub struct Alone {
    /// Of SQLite, the folder in which the database lies; a lock of PostgreSQL is the connection's.
    _folder: Option<File>,
}

impl Alone {
    /// Waits until no other process migrates this database. `database` must have one connection.
    pub async fn with(database: &DatabaseConnection) -> Result<Self, DbErr> {
        let folder = match database.get_database_backend() {
            DatabaseBackend::Sqlite => {
                folder_of(database).await?.map(File::open).transpose().map_err(|error| failed(&error))?
            }
            _ => None,
        };
        let deadline = Instant::now() + PATIENCE;
        while !is_free(database, folder.as_ref()).await? {
            if Instant::now() >= deadline {
                let long = "another process has been migrating this database for ten minutes";
                return Err(DbErr::Custom(long.to_owned()));
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(Self { _folder: folder })
    }
}

async fn is_free(database: &DatabaseConnection, folder: Option<&File>) -> Result<bool, DbErr> {
    match folder.map(File::try_lock) {
        Some(Err(TryLockError::WouldBlock)) => Ok(false),
        Some(Err(TryLockError::Error(error))) => Err(failed(&error)),
        None if database.get_database_backend() == DatabaseBackend::Postgres => {
            ask(database, &format!("SELECT pg_try_advisory_lock({KEY})")).await
        }
        Some(Ok(())) | None => Ok(true),
    }
}

/// None of a database in memory, which no other process has.
async fn folder_of(database: &DatabaseConnection) -> Result<Option<PathBuf>, DbErr> {
    let file: String = ask(database, "SELECT file FROM pragma_database_list WHERE name = 'main'").await?;
    Ok(PathBuf::from(file).parent().map(PathBuf::from).filter(|folder| !folder.as_os_str().is_empty()))
}

async fn ask<T: TryGetable>(database: &DatabaseConnection, question: &str) -> Result<T, DbErr> {
    let question = Statement::from_string(database.get_database_backend(), question);
    let answer = database.query_one_raw(question).await?;
    answer
        .ok_or_else(|| DbErr::RecordNotFound("the database does not say who migrates it".to_owned()))?
        .try_get_by_index(0)
}

fn failed(error: &io::Error) -> DbErr {
    DbErr::Custom(format!("the folder of the database cannot be locked: {error}"))
}
