//! What can go wrong with a store, by what the caller can do about it.

use sea_orm::{DbErr, RuntimeErr, SqlErr};

use crate::{pricing::FormulaError, seal::SealError};

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No such row in this tenant.
    #[error("there is no such {what}")]
    NotFound { what: &'static str },
    /// The row is there, but in a state that does not allow this.
    #[error("the {what} {reason}")]
    Conflict { what: &'static str, reason: String },
    /// Something unique exists already.
    #[error("a {what} like this exists already")]
    Taken { what: &'static str },
    /// The value cannot be stored.
    #[error("{field}: {reason}")]
    Invalid { field: &'static str, reason: String },
    /// A product's price formula cannot be saved.
    #[error(transparent)]
    Formula(#[from] FormulaError),
    /// A row holds what this version cannot read.
    #[error("a stored {what} cannot be read: {reason}")]
    Unreadable { what: &'static str, reason: String },
    /// A secret could not be sealed or opened.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The database is busy, away or restarting, or its disk is full or takes no writes.
    #[error("the database is not available")]
    Unavailable(#[source] DbErr),
    /// The database refused the statement: a defect, not a moment.
    #[error("{}", refused(.0))]
    Database(#[source] DbErr),
}

impl StoreError {
    /// Whether the same call may succeed later without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable(_) => true,
            Self::NotFound { .. }
            | Self::Conflict { .. }
            | Self::Taken { .. }
            | Self::Invalid { .. }
            | Self::Formula(_)
            | Self::Unreadable { .. }
            | Self::Seal(_)
            | Self::Database(_) => false,
        }
    }

    pub(crate) fn conflict(what: &'static str, reason: impl Into<String>) -> Self {
        Self::Conflict { what, reason: reason.into() }
    }

    pub(crate) fn invalid(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid { field, reason: reason.into() }
    }

    /// Gives a violated unique index the name of what exists already.
    pub(crate) fn taken(what: &'static str) -> impl Fn(DbErr) -> Self {
        move |error| match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => Self::Taken { what },
            _ => error.into(),
        }
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        if is_transient(&error) { Self::Unavailable(error) } else { Self::Database(error) }
    }
}

/// What an operator can do, if it is that the schema is missing or of an older version.
fn refused(error: &DbErr) -> &'static str {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(source)) | DbErr::Query(RuntimeErr::SqlxError(source))
            if source.as_database_error().is_some_and(lacks_schema) =>
        {
            "the database lacks a table or column of this version, which `postrider-migrate up` makes"
        }
        _ => "the database refused a statement",
    }
}

/// PostgreSQL: undefined table or column; SQLite has words for it only.
fn lacks_schema(refusal: &dyn sqlx::error::DatabaseError) -> bool {
    match refusal.code().as_deref() {
        Some("42P01" | "42703") => true,
        Some("1") => {
            ["no such table", "no such column", "has no column"].iter().any(|text| refusal.message().contains(text))
        }
        _ => false,
    }
}

fn is_transient(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
        DbErr::Exec(RuntimeErr::SqlxError(source)) | DbErr::Query(RuntimeErr::SqlxError(source)) => {
            is_transient_sqlx(source)
        }
        // Everything else is about the statement or the value, not about the moment.
        _ => false,
    }
}

fn is_transient_sqlx(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(refusal) => refusal.code().is_some_and(|code| is_transient_code(&code)),
        _ => false,
    }
}

/// PostgreSQL: connection (08), serialization and deadlock (40), resources such as disk and memory (53), what an operator does, such as
/// a shutdown or a limit of time (57), a server that is no longer the primary (25006), a transaction that took too long (25P03, 25P04),
/// lock (55P03), input and output (58030); SQLite: busy (5), locked (6), no memory (7), a disk that takes no writes (8), input and
/// output (10), full (13), a file that cannot be opened (14), and their extended forms.
pub(super) fn is_transient_code(code: &str) -> bool {
    if code.len() == 5 {
        return ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class))
            || matches!(code, "25006" | "25P03" | "25P04" | "55P03" | "58030");
    }
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5..=8 | 10 | 13 | 14))
}

#[cfg(test)]
mod tests {
    use sea_orm::ConnectionTrait as _;

    use super::*;

    #[tokio::test]
    async fn a_schema_that_is_missing_is_told_with_what_makes_it() {
        let database = sea_orm::Database::connect("sqlite::memory:").await.unwrap();
        database.execute_unprepared("CREATE TABLE there (a)").await.unwrap();
        for statement in ["SELECT * FROM nowhere", "SELECT b FROM there", "INSERT INTO there (b) VALUES (1)"] {
            let error = StoreError::from(database.execute_unprepared(statement).await.unwrap_err());
            assert!(error.to_string().contains("`postrider-migrate up`"), "{error:?}");
        }
        let other = StoreError::from(database.execute_unprepared("SELECT").await.unwrap_err());
        assert_eq!(other.to_string(), "the database refused a statement");
    }

    #[test]
    fn codes_of_a_moment_are_told_from_codes_of_a_defect() {
        for code in [
            "40001", "40P01", "57P01", "08006", "53100", "58030", "25006", "57014", "5", "517", "6", "778", "8", "264",
            "13", "14",
        ] {
            assert!(is_transient_code(code), "{code}");
        }
        for code in ["23505", "42P01", "2067", "1", "787"] {
            assert!(!is_transient_code(code), "{code}");
        }
    }
}
