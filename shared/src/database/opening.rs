//! The first connection of a process. A database that is not there yet is waited for; one that is, and lets nobody in, is told at once.

use std::{error::Error, io, time::Duration};

use sea_orm::{ConnectOptions, DatabaseConnection, DbErr, RuntimeErr};
use sqlx::{
    Connection as _,
    postgres::{PgConnectOptions, PgConnection},
    sqlite::SqliteConnectOptions,
};
use tokio::time::{Instant, sleep, timeout_at};

use super::{StoreError, error::is_transient_code};

/// How long a process that starts waits for its database.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a file that cannot be opened is tried again: another process may be making it.
const PATIENCE_FOR_A_FILE: Duration = Duration::from_secs(1);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// Why the database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "DATABASE_URL: PostgreSQL does not let this user in: look at user and password there, and at the server's pg_hba.conf"
    )]
    NotLetIn(#[source] Cause),
    #[error(
        "DATABASE_URL: the server has no such database: make it there (CREATE DATABASE), then run `postrider-migrate up`"
    )]
    NoSuchDatabase(#[source] Cause),
    #[error(
        "DATABASE_URL: there is no such file, which `postrider-migrate up` makes if the URL ends in ?mode=rwc and its folder is there"
    )]
    NoSuchFile(#[source] Cause),
    #[error("DATABASE_URL: the database was not reached within {} s: is it running, and are host and port right?", PATIENCE.as_secs())]
    NotReached(#[source] Cause),
    #[error("DATABASE_URL: the database cannot be opened")]
    Refused(#[source] Cause),
}

type Cause = Box<dyn Error + Send + Sync>;

/// A pool of connections to the database of this URL.
pub(super) async fn open(url: &str, options: ConnectOptions) -> Result<DatabaseConnection, OpenError> {
    let since = Instant::now();
    if url.starts_with("sqlite:") {
        url.parse::<SqliteConnectOptions>().map_err(|error| OpenError::Refused(error.into()))?;
    } else {
        // The pool would wait for what will never be, and tell of its waiting only.
        reach(url, since + PATIENCE).await?;
    }
    loop {
        match sea_orm::Database::connect(options.clone()).await {
            Ok(connection) => return Ok(connection),
            Err(error) if lacks_file(url) => return Err(OpenError::NoSuchFile(error.into())),
            // While another process opens or closes the same SQLite file, it may be locked in a way that no busy time-out covers.
            Err(error) if since.elapsed() < patience(&error) => sleep(PAUSE).await,
            Err(error) => return Err(OpenError::Refused(StoreError::from(error).into())),
        }
    }
}

/// How long it is tried again after this error of the pool.
fn patience(error: &DbErr) -> Duration {
    match error {
        DbErr::ConnectionAcquire(_) => PATIENCE,
        DbErr::Conn(RuntimeErr::SqlxError(error)) if is_of_a_file(error) => PATIENCE_FOR_A_FILE,
        DbErr::Conn(RuntimeErr::SqlxError(error)) if may_come(error) => PATIENCE,
        _ => Duration::ZERO,
    }
}

/// Whether it is SQLite's word for a file that takes no writes (8) or cannot be opened (14), as without permission.
fn is_of_a_file(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.filter(|code| code.len() < 5)
        .and_then(|code| code.parse::<u32>().ok())
        .is_some_and(|code| matches!(code & 0xff, 8 | 14))
}

/// The driver takes the brackets of an IPv6 address in a URL for a part of a host's name.
pub(super) fn without_brackets(options: PgConnectOptions) -> PgConnectOptions {
    let bare = options.get_host().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).map(str::to_owned);
    match bare {
        Some(address) => options.host(&address),
        None => options,
    }
}

/// Whether the URL means a SQLite file that is not there, although whoever opened it would have made it if that could be.
fn lacks_file(url: &str) -> bool {
    url.starts_with("sqlite:")
        && url.parse::<SqliteConnectOptions>().is_ok_and(|options| {
            let file = options.get_filename();
            !file.as_os_str().is_empty() && matches!(file.try_exists(), Ok(false))
        })
}

/// Waits until PostgreSQL lets somebody in.
async fn reach(url: &str, until: Instant) -> Result<(), OpenError> {
    let options = url.parse::<PgConnectOptions>().map(without_brackets);
    let options = options.map_err(|error| OpenError::Refused(error.into()))?;
    let mut told = false;
    loop {
        let error = match timeout_at(until, PgConnection::connect_with(&options)).await {
            Ok(Ok(connection)) => {
                let _ = connection.close().await;
                return Ok(());
            }
            Ok(Err(error)) => error,
            Err(_late) => sqlx::Error::Io(io::ErrorKind::TimedOut.into()),
        };
        if !may_come(&error) {
            return Err(told_of(error));
        }
        if Instant::now() + PAUSE > until {
            return Err(OpenError::NotReached(error.into()));
        }
        if !told {
            tracing::warn!(%error, "the database (DATABASE_URL) is not there yet: waiting for it");
            told = true;
        }
        sleep(PAUSE).await;
    }
}

fn told_of(error: sqlx::Error) -> OpenError {
    match error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() {
        // No such user, a wrong password, or no rule that lets it in from here; no right to connect.
        Some(code) if code.starts_with("28") || code == "42501" => OpenError::NotLetIn(error.into()),
        Some("3D000") => OpenError::NoSuchDatabase(error.into()),
        _ => OpenError::Refused(error.into()),
    }
}

/// Whether waiting may help. A pooler or proxy before a server that is not there yet answers with whatever code it likes, so only what
/// somebody must mend is told from it: settings, no TLS, and [what is told of](told_of).
fn may_come(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Configuration(_) | sqlx::Error::Tls(_) => false,
        sqlx::Error::Database(refusal) => refusal.code().is_none_or(|code| match code.len() {
            5 => !(code.starts_with("28") || matches!(&*code, "3D000" | "42501")),
            _ => is_transient_code(&code),
        }),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::{config::DatabaseConfig, database::Database};

    /// Says to so many who connect: `answer` to their wish for TLS, and, if that is no, this code.
    async fn refuse(listener: &TcpListener, times: usize, answer: &[u8], code: &str) {
        for _ in 0..times {
            let (mut client, _) = listener.accept().await.unwrap();
            let (mut wish, mut length) = ([0; 8], [0; 4]);
            client.read_exact(&mut wish).await.unwrap();
            client.write_all(answer).await.unwrap();
            if answer != b"N" {
                continue;
            }
            client.read_exact(&mut length).await.unwrap();
            let mut start = vec![0; u32::from_be_bytes(length) as usize - 4];
            client.read_exact(&mut start).await.unwrap();
            let words = format!("SFATAL\0VFATAL\0C{code}\0Mnot \"shop\"\0\0");
            let length = u32::try_from(words.len() + 4).unwrap();
            client.write_all(&[&b"E"[..], &length.to_be_bytes(), words.as_bytes()].concat()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_wrong_password_is_told_at_once_wherever_the_server_is() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = match TcpListener::bind(address).await {
                Ok(listener) => listener,
                // This machine has no IPv6.
                Err(_) if address.starts_with('[') => continue,
                Err(error) => panic!("{address}: {error}"),
            };
            let url = format!("postgres://shop:hush@{}/shop", listener.local_addr().unwrap());
            let config = DatabaseConfig::at(&url);
            let refused = tokio::select! {
                refused = tokio::time::timeout(PATIENCE / 2, Database::connect(&config)) => refused.expect(&url),
                () = refuse(&listener, usize::MAX, b"N", "28P01") => unreachable!("it refuses for ever"),
            };
            assert!(matches!(refused, Err(OpenError::NotLetIn(_))), "{:?}", refused.err());
        }
    }

    /// Poolers and proxies answer for a server that is not there yet, each with a code of its own.
    #[tokio::test]
    async fn whatever_else_is_answered_is_waited_for() {
        for (answer, code) in
            [(&b"N"[..], "58000"), (b"N", "57000"), (b"N", "XX000"), (b"N", "08P01"), (b"HTTP/1.1 503\r\n", "")]
        {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let config = DatabaseConfig::at(format!("postgres://shop:hush@{}/shop", listener.local_addr().unwrap()));
            tokio::select! {
                opened = Database::connect(&config) => panic!("{code}: {:?}", opened.err()),
                () = refuse(&listener, 3, answer, code) => {}
            }
        }
    }

    /// No time mends these.
    #[tokio::test]
    async fn a_file_that_cannot_be_opened_is_told_soon() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(at("letter.txt"), "Dear Sir or Madam,\n".repeat(500)).unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        for (url, word) in [
            (format!("sqlite://{}?mdoe=rwc", at("new.db")), "mdoe"),
            (format!("sqlite://{}", at("letter.txt")), "not a database"),
            (format!("sqlite://{}", at("folder")), "unable to open"),
        ] {
            let config = DatabaseConfig::at(&url);
            let refused = tokio::time::timeout(PATIENCE / 2, Database::connect(&config)).await.expect(&url);
            let refused = refused.err().unwrap();
            let said = crate::telemetry::chain(&refused);
            assert!(matches!(refused, OpenError::Refused(_)) && said.contains(word), "{said}");
        }
    }
}
