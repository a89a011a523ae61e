//! The connection to SQLite or PostgreSQL, and the one way to write.
//!
//! Every write goes through [`Database::write`], a transaction that has the right to write from its first statement. On SQLite that
//! is `BEGIN IMMEDIATE`: a transaction that starts by reading and later wants to write fails with "database is locked" without
//! waiting, whatever the busy time-out. Writers of one process queue up fairly on a lock; writers of several processes wait for
//! each other by the busy time-out. A transaction is never held across a call to a provider.

mod all_tenants;
pub(crate) mod brief;
pub(crate) mod check;
mod error;
mod exact;
mod opening;
pub(crate) mod page;
pub(crate) mod reach;
mod texts;

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

pub use all_tenants::AllTenants;
pub use error::StoreError;
pub use exact::Exact;
pub use opening::OpenError;
pub use page::{Cursor, CursorError, MAX_PAGE, Page};
pub use texts::Texts;

use sea_orm::{
    ConnectOptions, DatabaseConnection, DatabaseTransaction, DbBackend, EntityTrait, Select, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};
use sqlx::{
    Connection as _,
    sqlite::{SqliteConnection, SqliteJournalMode, SqliteSynchronous},
};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::{
    audit::{self, Said, Watch, Watched},
    config::DatabaseConfig,
    requests,
};

/// How long a SQLite writer waits for one in another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(15);

/// A pool of connections. Clones share it.
#[derive(Clone)]
pub struct Database {
    connection: DatabaseConnection,
    /// SQLite has one writer; see the module's description.
    writer: Option<Arc<Mutex<()>>>,
}

/// An open write. Dropping it without [`commit`](Self::commit) undoes it.
pub struct Transaction {
    inner: DatabaseTransaction,
    /// Rows whose change is to be recorded with it.
    watched: std::sync::Mutex<Vec<Box<dyn Watched>>>,
    /// What is to be recorded with it and its rows do not show.
    said: std::sync::Mutex<Vec<Said>>,
    // Released after the transaction ended: fields drop in this order.
    _writer: Option<OwnedMutexGuard<()>>,
}

impl Database {
    /// Opens the pool; the schema must be there already (`postrider-migrate up`).
    pub async fn connect(config: &DatabaseConfig) -> Result<Self, OpenError> {
        let mut options = ConnectOptions::new(config.url.as_str());
        options
            .max_connections(config.max_connections)
            .acquire_timeout(Duration::from_secs(20))
            .sqlx_logging(false)
            .map_sqlx_postgres_opts(opening::without_brackets)
            .map_sqlx_sqlite_opts(|options| {
                options
                    .journal_mode(SqliteJournalMode::Wal)
                    // NORMAL could lose the last commits when the power fails: a mail accepted twice.
                    .synchronous(SqliteSynchronous::Full)
                    .busy_timeout(BUSY_TIMEOUT)
                    .foreign_keys(true)
            })
            .map_sqlx_sqlite_pool_opts(|pool| pool.after_release(|connection, _| Box::pin(outside(connection))));
        let connection = opening::open(config.url.as_str(), options).await?;
        let writer = (connection.get_database_backend() == DbBackend::Sqlite).then(|| Arc::new(Mutex::new(())));
        Ok(Self { connection, writer })
    }

    /// For reads, each of which sees what was committed before it.
    pub fn reader(&self) -> &DatabaseConnection {
        &self.connection
    }

    /// Starts a write.
    pub async fn write(&self) -> Result<Transaction, StoreError> {
        let writer = match &self.writer {
            Some(lock) => Some(Arc::clone(lock).lock_owned().await),
            None => None,
        };
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let inner = self.connection.begin_with_options(options).await?;
        Ok(Transaction {
            inner,
            watched: std::sync::Mutex::default(),
            said: std::sync::Mutex::default(),
            _writer: writer,
        })
    }

    /// Whether the database answers (`/readyz`).
    pub async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.connection.ping().await?)
    }

    /// `sqlite` or `postgres`, for people.
    pub fn backend(&self) -> &'static str {
        match self.connection.get_database_backend() {
            DbBackend::Sqlite => "sqlite",
            DbBackend::Postgres => "postgres",
            _ => "unknown",
        }
    }
}

/// Whether a connection that is given back may be used again. SQLite ends a transaction by itself when it cannot write, as on a full
/// disk; there is nothing left to roll back then, so the driver takes the connection for one inside a transaction, and would confirm
/// later commits that are none.
async fn outside(connection: &mut SqliteConnection) -> sqlx::Result<bool> {
    // A rollback that is under way comes first.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

impl Transaction {
    /// Makes the write last, together with the audit events of the request that it belongs to, unless another process carries on
    /// with that request.
    pub async fn commit(self) -> Result<(), StoreError> {
        requests::commit(&self.inner).await?;
        let watched = self.watched.into_inner().unwrap_or_else(PoisonError::into_inner);
        let said = self.said.into_inner().unwrap_or_else(PoisonError::into_inner);
        let recorded = audit::record(&self.inner, &watched, said).await?;
        self.inner.commit().await?;
        if let Some(recorder) = recorded {
            recorder.committed();
        }
        Ok(())
    }

    /// Says that the row which this query finds is about to be changed, made or removed: what is different at the commit is kept in
    /// the audit log, if this is done for a request that is recorded.
    pub(crate) async fn watch<E: EntityTrait>(&self, row: Select<E>) -> Result<(), StoreError>
    where
        E::Model: Sync,
    {
        if audit::current().is_none() {
            return Ok(());
        }
        let watch = Watch::begin(row, &self.inner).await?;
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(watch));
        Ok(())
    }

    /// Says what is done here, for the audit log, if this is done for a request that is recorded.
    pub(crate) fn say(&self, said: Said) {
        if audit::current().is_some() {
            self.said.lock().unwrap_or_else(PoisonError::into_inner).push(said);
        }
    }

    /// Undoes the write. Dropping does so too, but only when the connection is used next.
    pub async fn rollback(self) -> Result<(), StoreError> {
        Ok(self.inner.rollback().await?)
    }

    pub(crate) fn connection(&self) -> &DatabaseTransaction {
        &self.inner
    }
}
